"""An event as a source sends it, and the words of its life."""

import datetime as dt
import hashlib
import json
from dataclasses import dataclass, fields

CATEGORIES = ("dispute", "police_case", "appeal", "hazard", "service", "other")
URGENCIES = ("low", "normal", "high", "urgent")
STATES = (
    "unassigned",
    "assigned",
    "accepted",
    "transferred",
    "escalated",
    "suspended",
    "resolved",
    "verified",
    "closed",
    "rejected",
)

# How long until an event shall be accepted and resolved, by urgency, in hours; a source's due_at goes before.
ACCEPT_WITHIN_H = {"low": 24.0, "normal": 4.0, "high": 1.0, "urgent": 0.5}
RESOLVE_WITHIN_H = {"low": 15 * 24.0, "normal": 7 * 24.0, "high": 3 * 24.0, "urgent": 24.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class EventDraft:
    """What a source says; checked, not yet stored.

    Attributes:
        source: who sends it; with `external_id` its identity.
        occurred_at: with a zone.
        x: longitude or easting as it came, in `crs`; None without a place.
        y: latitude or northing as it came.
        lon: WGS-84 longitude in degrees; None without a place.
        lat: WGS-84 latitude in degrees.
        accuracy_m: radius of the source's uncertainty in metres.
        grid: code of the grid or area that the source states.
        due_at: by when it shall be resolved, where the source says so.
    """

    source: str
    external_id: str
    category: str
    occurred_at: dt.datetime
    title: str
    subcategory: str | None = None
    urgency: str = "normal"
    x: float | None = None
    y: float | None = None
    crs: str | None = None
    lon: float | None = None
    lat: float | None = None
    accuracy_m: float | None = None
    grid: str | None = None
    address: str | None = None
    description: str | None = None
    contact: str | None = None
    due_at: dt.datetime | None = None

    def digest(self) -> bytes:
        """SHA-256 of what the source sent: equal drafts are the same post, whatever their order."""
        content = [
            value.astimezone(dt.UTC).isoformat() if isinstance(value, dt.datetime) else value
            for value in (getattr(self, name) for name in _SENT)
        ]
        return hashlib.sha256(json.dumps(content, ensure_ascii=False).encode()).digest()

    def text_digest(self) -> bytes:
        """SHA-256 of the text alone, for the history: the text itself can be erased."""
        content = [self.title, self.description, self.address, self.contact]
        return hashlib.sha256(json.dumps(content, ensure_ascii=False).encode()).digest()


# lon and lat follow from x, y and crs; conversions may improve, identity must not change with them.
_SENT = tuple(field.name for field in fields(EventDraft) if field.name not in {"lon", "lat"})


def due_times(draft: EventDraft, reported_at: dt.datetime) -> tuple[dt.datetime, dt.datetime]:
    """By when an event shall be accepted and resolved."""
    accept = reported_at + dt.timedelta(hours=ACCEPT_WITHIN_H[draft.urgency])
    resolve = draft.due_at or reported_at + dt.timedelta(hours=RESOLVE_WITHIN_H[draft.urgency])
    return min(accept, resolve), resolve
