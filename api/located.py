"""An answer to "whose is it" in its outer form, for the route and the command alike."""

import datetime as dt
from typing import TYPE_CHECKING, Any

from api import shapes
from api.schemas import to_wgs84
from gridmap import crs as reference_systems
from gridmap import locating
from gridmap.errors import InvalidInput
from gridmap.events import CATEGORIES
from gridmap.memory import Memory
from gridmap.periods import moment
from gridmap.reasons import area_in_words, in_words
from gridmap.snapshot import Snapshot

if TYPE_CHECKING:
    from api.operator import Tool


def shaped(snapshot: Snapshot, memory: Memory, answer: locating.Answer, language: str) -> dict[str, Any]:
    """An answer as interface.md shapes it."""
    return {
        "method": answer.method,
        "distance_m": answer.distance_m,
        "edition": snapshot.edition,
        "grid": shapes.area_ref(snapshot, answer.owner),
        "areas": shapes.area_chain(snapshot, answer.paths),
        "assignee": shapes.assignee(memory, answer.worker, answer.unit),
        "why": in_words(answer.why, language, area_in_words(snapshot)),
    }


def located(  # the command's options
    tool: "Tool", lon: float, lat: float, crs: str, at: str | None, category: str, language: str
) -> dict[str, Any]:
    """Whose a place is, straight from the database.

    Raises:
        InvalidInput: the coordinates, the system, the moment or the category will not do.
    """
    if category not in CATEGORIES:
        raise InvalidInput(
            f"{category!r} is no category; allowed: {', '.join(CATEGORIES)}", code="unknown_category"
        )
    x, y = to_wgs84(lon, lat, reference_systems.normalise(crs))
    memory = Memory(tool.database(), tool.settings.time_zone)
    memory.refresh()
    when = moment(at, "at", tool.settings.time_zone) or dt.datetime.now(dt.UTC)
    snapshot = memory.at(when)
    answer = locating.locate(snapshot, memory.roster, x, y, category, tool.settings.tolerance_m)
    return shaped(snapshot, memory, answer, language)
