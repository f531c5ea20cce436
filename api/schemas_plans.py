"""The outer form of plans: what is drawn, and what is said of a plan."""

import datetime as dt
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, RootModel

from api.schemas import Name, Text
from api.schemas_drawing import Drawing, LineString
from gridmap import crs
from gridmap.errors import InvalidInput

Code = Annotated[str, Field(pattern="^[A-Za-z0-9_]{1,255}$")]
State = Literal["draft", "submitted", "approved", "published", "rejected", "withdrawn"]
Revision = Annotated[
    int,
    Field(ge=1, lt=2**31, description="Of the plan as it was seen; another one since: 409 `stale_revision`."),
]
Reason = Annotated[Text, Field(min_length=1, max_length=500)]
InForceFrom = Annotated[
    Text,
    Field(
        min_length=1,
        max_length=64,
        description="RFC 3339 with a zone, or a date; in the future. By default now.",
    ),
]
Words = Annotated[Text, Field(min_length=1, max_length=2000)]
Grid = Annotated[Code, Field(description="Code of an area inside the plan's scope.")]


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid")


class PlanIn(_In):
    """A plan to be opened on the newest edition."""

    name: Name
    scope: Annotated[Code, Field(description="Code of the area whose inside is redrawn.")]


class _Drawn(_In):
    crs: Annotated[Text, Field(max_length=64, description="Of the coordinates.")] = "wgs84"


class Split(_Drawn):
    """An area becomes two by a line, which may reach beyond it and cuts only it."""

    revision: Revision
    op: Literal["split"]
    grid: Grid
    line: LineString
    keep: Annotated[
        Literal["larger", "none"],
        Field(
            description="`larger`: the piece with more households keeps the code; `none`: both get new ones."
        ),
    ] = "larger"
    code: Annotated[Code | None, Field(description="Of the new piece; by default the next one.")] = None
    name: Annotated[Name | None, Field(description="Of the new piece.")] = None


class Merge(_In):
    """Areas that touch become one."""

    revision: Revision
    op: Literal["merge"]
    grids: Annotated[list[Code], Field(min_length=1, max_length=1000)]
    into: Annotated[
        Code | None, Field(description="Keeps its code and parent; by default the first of `grids`.")
    ] = None


class Reshape(_Drawn):
    """What lies in the polygon is the area's; its neighbours give and take."""

    revision: Revision
    op: Literal["reshape"]
    grid: Grid
    polygon: Drawing


class Move(_In):
    """Buildings go to a neighbour, with the ground around them."""

    revision: Revision
    op: Literal["move"]
    buildings: Annotated[
        list[Annotated[Text, Field(min_length=1, max_length=255)]],
        Field(min_length=1, max_length=20_000),
    ]
    to: Grid
    along: Annotated[
        bool,
        Field(
            description="Take along the buildings in between; otherwise they are named, and nothing moves."
        ),
    ] = False


class Create(_Drawn):
    """A new area; those of its kind that lie there give the land."""

    revision: Revision
    op: Literal["create"]
    polygon: Drawing
    kind: Literal["city", "county", "town", "village", "comprehensive", "micro", "dedicated"]
    code: Code | None = None
    name: Name | None = None
    setting: Literal["urban", "rural", "dedicated"] | None = None


class Retire(_In):
    """An area is no more; its land goes to another that touches it, of a dedicated grid to nobody."""

    revision: Revision
    op: Literal["retire"]
    grid: Grid
    into: Code | None = None


class Rename(_In):
    """An area gets another name."""

    revision: Revision
    op: Literal["rename"]
    grid: Grid
    name: Name


class EditIn(RootModel[Any]):
    """An edit, by its `op`."""

    root: Annotated[Split | Merge | Reshape | Move | Create | Retire | Rename, Field(discriminator="op")]

    def request(self) -> dict[str, Any]:
        """What is asked for, without the revision; in WGS-84.

        Raises:
            InvalidInput: `unknown_crs`; `bad_drawing`: it reaches beyond the system.
        """
        asked: dict[str, Any] = self.root.model_dump(
            mode="json", exclude={"revision", "crs"}, exclude_none=True
        )
        if asked.get("polygon", {}).get("type") == "MultiPolygon":
            asked["polygon"] = {"type": "Polygon", "coordinates": asked["polygon"]["coordinates"][0]}
        system = crs.normalise(getattr(self.root, "crs", "wgs84"))
        if system != "wgs84":
            for field in {"line", "polygon"} & asked.keys():
                lists = asked[field]["coordinates"]
                rings = [lists] if field == "line" else lists
                moved = [_in_wgs84(ring, system) for ring in rings]
                asked[field]["coordinates"] = moved[0] if field == "line" else moved
        return asked


def _in_wgs84(places: list[list[float]], system: str) -> list[list[float]]:
    x, y = ([place[axis] for place in places] for axis in (0, 1))
    both = np.column_stack(crs.convert(x, y, system, "wgs84"))
    if not np.isfinite(both).all():
        raise InvalidInput(f"The drawing reaches beyond {system}", code="bad_drawing")
    found: list[list[float]] = both.tolist()
    return found


class RevisionIn(_In):
    """A step that needs no more than the revision seen."""

    revision: Revision


class RebaseIn(_In):
    """A plan onto the newest edition."""

    revision: Revision
    keep: Annotated[
        bool,
        Field(
            description="Where an edit collides with what others published, keep those before it and drop it with"
            " those after it, instead of refusing; the `history` of the answer names those dropped."
        ),
    ] = False


class RejectIn(_In):
    """A plan goes back."""

    revision: Revision
    reason: Annotated[Reason | None, Field(description="Why, for whoever drew it.")] = None


class PublishIn(_In):
    """A plan becomes the next edition."""

    revision: Revision
    effective_from: InForceFrom | None = None


class RevertIn(_In):
    """What a plan published is taken back."""

    revision: Revision
    reason: Reason
    effective_from: InForceFrom | None = None


class CommentIn(_In):
    """What somebody has to say."""

    text: Words


class JournalEntry(BaseModel):
    """An edit."""

    number: int = Field(description="Edits up to the plan's `head` are in force; those beyond can be redone.")
    op: str
    by: str
    at: dt.datetime
    told: dict[str, Any] = Field(description="What was decided on the way.")
    areas: list[str] = Field(description="Codes of the areas that it made, changed or retired.")


class Done(BaseModel):
    """What made a revision."""

    revision: int
    op: str
    by: str
    at: dt.datetime
    detail: dict[str, Any]


class PlannedProperties(BaseModel):
    """An area as the plan has it."""

    code: str
    name: str
    kind: str
    setting: str | None
    parent: str | None
    path: str
    households: int
    fate: Literal["same", "changed", "new", "touched"] = Field(
        description="Against the base; `touched`: only got vertices where a neighbour's border meets its own."
    )


class PlannedFeature(BaseModel):
    """An area as a GeoJSON feature."""

    type: Literal["Feature"]
    properties: PlannedProperties
    geometry: dict[str, Any] | None


class PlannedAreas(BaseModel):
    """Areas inside the scope, from the largest kind."""

    type: Literal["FeatureCollection"]
    features: list[PlannedFeature]
    next: None


class PlanSummary(BaseModel):
    """A plan without its areas."""

    id: int
    name: str
    scope: str
    scope_name: str
    base: int = Field(description="Edition that it builds on.")
    base_current: bool = Field(
        description="Whether that is the newest one; else it is rebased before publication."
    )
    state: State
    revision: int
    head: int = Field(description="Number of the last edit in force.")
    created_by: str
    created_at: dt.datetime
    updated_at: dt.datetime
    submitted_by: str | None
    submitted_at: dt.datetime | None
    approved_by: str | None
    approved_at: dt.datetime | None
    rejected_by: str | None
    rejected_at: dt.datetime | None
    rejected_reason: str | None
    notice_until: dt.datetime | None
    published_by: str | None
    published_at: dt.datetime | None
    edition: int | None = Field(description="That it became.")


class Plan(PlanSummary):
    """A plan."""

    in_force_from: dt.datetime | None = Field(None, description="From when the edition is in force.")
    edits: int = Field(description="Edits in force.")
    redoable: int = Field(description="Edits that can be redone.")
    journal: list[JournalEntry] = Field(description="The last 200 edits.")
    history: list[Done] = Field(description="The last 200 revisions.")
    may: list[str] = Field(description="What I may do with it now.")
    areas: PlannedAreas | None = None
    retired: list[str] | None = Field(None, description="Codes of the base that live no more.")


class Plans(BaseModel):
    """A page of plans, the newest first."""

    plans: list[PlanSummary]
    next: str | None


class Finding(BaseModel):
    """As of `gridmap check --json`."""

    code: str
    severity: Literal["error", "warning"]
    area: str | None
    other: str | None
    where: list[float] | None
    measure: float | None
    unit: str | None
    message: str


class Findings(BaseModel):
    """What is wrong with a plan; `errors` of it keep it from being submitted."""

    findings: list[Finding]
    errors: int


class Comment(BaseModel):
    """What somebody said."""

    id: int
    by: str
    at: dt.datetime
    text: str


class Comments(BaseModel):
    """Comments, oldest first."""

    comments: list[Comment]
    next: str | None


class GridNumbers(BaseModel):
    """A grid of a plan as it is now."""

    code: str
    name: str
    kind: str
    parent: str | None
    fate: Literal["same", "changed", "new", "touched"]
    households: int
    households_before: int | None = Field(description="Of the same code in the base; null for a new one.")
    buildings: int
    events: dict[str, int | None] = Field(
        description="Of twelve months up to today, `total` and by category; null where withheld."
    )
    workers: int
    area_m2: float
    compactness: float = Field(description="Polsby-Popper: 4πA/P²; 1 is a circle.")
    parts: int = Field(description="Pieces of land; 1 is as it should be.")
    range: list[int] | None = Field(description="Least and most households of its kind.")
    breach: Literal["under", "over"] | None


class NumbersTotal(BaseModel):
    """All grids of the finest kind."""

    kind: str
    grids: int
    households: int
    households_before: int
    in_range: int
    compactness: float | None


class PlanNumbers(BaseModel):
    """Numbers of the grids of a plan as it is now."""

    revision: int
    grids: list[GridNumbers]
    total: NumbersTotal | None
    withhold_below: int | None = Field(
        description="Smaller counts of events are withheld; null where I see all."
    )
    rounded_to: int | None = Field(
        description="Other counts of events are rounded to it; null where I see all."
    )
