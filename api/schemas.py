"""What comes in and goes out over HTTP; the only place where a field's outer form is said."""

import datetime as dt
import math
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from gridmap import crs
from gridmap.errors import InvalidInput
from gridmap.events import EventDraft

Category = Literal["dispute", "police_case", "appeal", "hazard", "service", "other"]
Urgency = Literal["low", "normal", "high", "urgent"]
OLDEST = dt.datetime(1900, 1, 1, tzinfo=dt.UTC)
LATEST = dt.datetime(9000, 1, 1, tzinfo=dt.UTC)
CLOCKS_MAY_DIFFER = dt.timedelta(days=1)


def _storable(text: str) -> str:
    if "\x00" in text:
        raise ValueError("a NUL character cannot be stored")
    return text


def _happened(moment: dt.datetime) -> dt.datetime:
    if not OLDEST <= moment <= dt.datetime.now(dt.UTC) + CLOCKS_MAY_DIFFER:
        raise ValueError("must lie between 1900 and now (a day's tolerance for clocks)")
    return moment


def _due(moment: dt.datetime) -> dt.datetime:
    if not OLDEST <= moment <= LATEST:
        raise ValueError("must lie between the years 1900 and 9000")
    return moment


def _known_crs(name: str) -> str:
    try:
        return crs.normalise(name)
    except InvalidInput as error:
        raise ValueError(error.message) from error


Text = Annotated[str, AfterValidator(_storable)]
Name = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_storable)]
Finite = Annotated[float, Field(allow_inf_nan=False)]


class EventIn(BaseModel):
    """An event as a source posts it: with a place, a grid or an address."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {
                "source": "12345",
                "external_id": "20260824-000123",
                "category": "dispute",
                "occurred_at": "2026-08-24T13:51:00+08:00",
                "lon": 112.0039,
                "lat": 29.987,
                "crs": "gcj02",
                "title": "楼上装修噪声引发口角",
            }
        },
    )

    source: Annotated[str, Field(min_length=1, max_length=64), AfterValidator(_storable)]
    external_id: Name
    category: Category
    occurred_at: Annotated[AwareDatetime, AfterValidator(_happened)]
    title: Name
    subcategory: Annotated[str, Field(min_length=1, max_length=64), AfterValidator(_storable)] | None = None
    urgency: Urgency = "normal"
    lon: Finite | None = None
    lat: Finite | None = None
    crs: Annotated[str, AfterValidator(_known_crs)] = "wgs84"
    accuracy_m: Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)] | None = None
    grid: Annotated[str, Field(pattern="^[A-Za-z0-9_]{1,64}$")] | None = None
    address: Annotated[Text, Field(max_length=500)] | None = None
    description: Annotated[Text, Field(max_length=20_000)] | None = None
    contact: Annotated[Text, Field(max_length=500)] | None = None
    due_at: Annotated[AwareDatetime, AfterValidator(_due)] | None = None

    @model_validator(mode="after")
    def _somewhere(self) -> "EventIn":
        if (self.lon is None) != (self.lat is None):
            raise ValueError("lon and lat come together")
        if self.lon is None and self.grid is None and not self.address:
            raise ValueError("a place (lon, lat), a grid or an address is needed")
        return self

    def draft(self) -> EventDraft:
        """The event in the core's terms, its place in WGS-84.

        Raises:
            InvalidInput: the coordinates lie nowhere on Earth, or look swapped.
        """
        lon = lat = None
        if self.lon is not None and self.lat is not None:
            lon, lat = to_wgs84(self.lon, self.lat, self.crs)
        return EventDraft(
            source=self.source,
            external_id=self.external_id,
            category=self.category,
            occurred_at=self.occurred_at.astimezone(dt.UTC),
            title=self.title,
            subcategory=self.subcategory,
            urgency=self.urgency,
            x=self.lon,
            y=self.lat,
            crs=self.crs if self.lon is not None else None,
            lon=lon,
            lat=lat,
            accuracy_m=self.accuracy_m,
            grid=self.grid,
            address=self.address,
            description=self.description,
            contact=self.contact,
            due_at=self.due_at and self.due_at.astimezone(dt.UTC),
        )


def to_wgs84(x: float, y: float, name: str) -> tuple[float, float]:
    """A coordinate pair as WGS-84 longitude and latitude in degrees.

    Raises:
        InvalidInput: it lies nowhere on Earth; says so if the axes look swapped.
    """
    lon, lat = (x, y) if name == "wgs84" else (float(v) for v in crs.convert(x, y, name, "wgs84"))
    if math.isfinite(lon) and math.isfinite(lat) and -180 <= lon <= 180 and -90 <= lat <= 90:
        return lon, lat
    swapped = -180 <= y <= 180 and -90 <= x <= 90
    remedy = f"; they look swapped: lon={y}, lat={x}?" if swapped else ""
    raise InvalidInput(
        f"lon={x}, lat={y} in {name} lies nowhere on Earth{remedy}",
        code="swapped_axes" if swapped else "out_of_range",
        findings=[
            {"field": "lon", "value": x, "message": "longitude, -180 to 180 degrees, or easting in the crs"},
            {"field": "lat", "value": y, "message": "latitude, -90 to 90 degrees, or northing in the crs"},
        ],
    )


class LocateQuery(BaseModel):
    """A place to ask about, and for what."""

    lon: float
    lat: float
    crs: str = "wgs84"
    at: str | None = None
    edition: Annotated[int | None, Field(ge=1, lt=2**31)] = None
    category: Category = "other"


class EventQuery(BaseModel):
    """Filters of events; all that are given must hold. Lists are comma-separated."""

    model_config = ConfigDict(extra="ignore")

    crs: str = Field("wgs84", description="Of bbox and near, and of lon, lat and coordinates in the answer")
    bbox: str | None = Field(None, description="west,south,east,north in the crs")
    grid: str | None = Field(None, description="Code of a grid")
    area: str | None = Field(None, description="Code of an area and all below it")
    category: str | None = None
    subcategory: str | None = None
    status: str | None = None
    worker: int | None = Field(None, ge=0, lt=2**31)
    unit: int | None = Field(None, ge=0, lt=2**31)
    overdue: bool | None = None
    since: str | None = Field(None, alias="from", description="Occurred at or after: RFC 3339, or a date")
    to: str | None = Field(None, description="Occurred before")
    near: str | None = Field(None, description="lon,lat in the crs")
    radius_m: Annotated[float, Field(gt=0, le=100_000, allow_inf_nan=False)] = 500
    sort: Literal["time", "due", "near"] = "time"
    limit: Annotated[int, Field(ge=1, description="A larger limit than 1000 is clamped")] = 100
    cursor: str | None = None


class HeatAsked(BaseModel):
    """What heat is asked for."""

    model_config = ConfigDict(extra="ignore")

    by: Literal["grid", "hex"] = "grid"
    kind: str = Field("micro", description="Any kind of area; for by=grid")
    res: Annotated[int, Field(description="H3 resolution, 5 to 11; for by=hex")] = 9
    area: str | None = Field(None, description="Code of an area; only what lies in it is listed")
    category: str | None = None
    subcategory: str | None = None
    since: str | None = Field(
        None, alias="from", description="Occurred at or after; by default a year before the end"
    )
    to: str | None = Field(None, description="Occurred before; by default now")
    measure: Literal["count", "per_100_households", "change", "hotspot"] = "count"
    boundaries: Literal["today", "then"] = "today"
    compare: Literal["year", "previous"] = "year"
    classes: Literal["round", "quantiles", "natural", "equal"] = Field(
        "round", description="How breaks are found"
    )
    geometry: bool = True
    crs: str = "wgs84"
    limit: Annotated[int, Field(ge=1)] | None = Field(None, description="Features a page; by default all")
    cursor: str | None = None


class IndicatorsAsked(BaseModel):
    """What indicators are asked for."""

    model_config = ConfigDict(extra="ignore")

    area: str | None = Field(None, description="Code; by default everything that I may see")
    category: str | None = None
    since: str | None = Field(
        None, alias="from", description="RFC 3339, or a date; by default a year before the end"
    )
    to: str | None = Field(None, description="By default now")
    by: Literal["children", "day", "month"] | None = None


class Problem(BaseModel):
    """RFC 9457 problem details."""

    type: str = "about:blank"
    title: str
    status: int
    code: str
    detail: str
    instance: str
    findings: list[dict[str, Any]] = []


class AreaRef(BaseModel):
    """An area in short."""

    kind: str
    code: str
    name: str


class Assignee(BaseModel):
    """The worker or unit whose an event is; a unit's role is its kind."""

    kind: Literal["worker", "unit"]
    id: int
    name: str
    role: str


class Why(BaseModel):
    """A reason."""

    mark: Literal["ok", "warn", "no"]
    code: str
    text: str


Method = Literal["inside", "border", "nearest", "jurisdiction", "stated", "none"]


class Located(BaseModel):
    """Whose a place is."""

    method: Method
    distance_m: float | None
    edition: int
    grid: AreaRef | None
    areas: list[AreaRef]
    assignee: Assignee | None
    why: list[Why]


class EventOut(BaseModel):
    """An event; what the reader may not see is null."""

    id: int
    source: str
    external_id: str
    category: Category
    subcategory: str | None
    urgency: Urgency
    title: str | None
    description: str | None
    address: str | None
    contact: str | None
    occurred_at: dt.datetime
    reported_at: dt.datetime
    lon: float | None
    lat: float | None
    accuracy_m: float | None
    status: str
    revision: int
    edition: int
    method: Method
    distance_m: float | None
    grid: AreaRef | None
    areas: list[AreaRef]
    assignee: Assignee | None
    why: list[Why]
    accept_due_at: dt.datetime | None
    resolve_due_at: dt.datetime | None
    accepted_at: dt.datetime | None
    resolved_at: dt.datetime | None
    closed_at: dt.datetime | None


class EventCounts(BaseModel):
    """Number of events by status."""

    counts: dict[str, int]
    total: int


class BatchRejection(BaseModel):
    """A line of a batch that was not taken."""

    line: int
    code: str
    message: str


class BatchOut(BaseModel):
    """What became of a batch."""

    accepted: int
    repeated: int
    rejected: list[BatchRejection]


class ReassignIn(BaseModel):
    """Which stored events to place by the boundaries in force now; all open ones where nothing is said."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    since: Annotated[str | None, Field(alias="from", description="RFC 3339 with zone, or a date")] = None
    to: str | None = None
    area: Annotated[str, Field(pattern="^[A-Za-z0-9_]{1,64}$")] | None = None
    closed: Annotated[bool, Field(description="Also what is resolved, verified, closed or rejected")] = False
    dry_run: Annotated[bool, Field(description="Say what would change, and change nothing")] = True


class ReassignOut(BaseModel):
    """How many were looked at, changed their grid or area, and were given to somebody else."""

    looked_at: int
    moved: int
    routed: int
    stored: bool


class Token(BaseModel):
    """A bearer token."""

    access_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105  # a word of OAuth
    expires_in: int


class Held(BaseModel):
    """A role held for an area."""

    role: str
    area: str


class Me(BaseModel):
    """Who I am."""

    name: str
    display_name: str
    roles: list[Held]
    may: list[str]
    closed: list[str] = Field(
        description="Categories closed to my roles: their events are as if there were none."
    )
    home: str | None
    home_name: str | None
    bbox: list[float] | None


class FeatureCollection(BaseModel):
    """GeoJSON with the path of the next page."""

    model_config = ConfigDict(extra="allow")

    type: Literal["FeatureCollection"]
    features: list[dict[str, Any]]
    next: str | None = None


class Feature(BaseModel):
    """A GeoJSON feature."""

    model_config = ConfigDict(extra="allow")

    type: Literal["Feature"]
    geometry: dict[str, Any] | None
    properties: dict[str, Any]
