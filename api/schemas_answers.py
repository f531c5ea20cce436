"""The outer form of what is only read: history, roster, search, lineage, indicators, and how the process is."""

import datetime as dt
from typing import Any, Literal

from pydantic import BaseModel, Field


class HistoryStep(BaseModel):
    """A step of an event's life."""

    id: int
    at: dt.datetime
    actor: str
    action: str
    status: str
    edition: int | None
    digest: str | None = Field(description="SHA-256 of what was said, in hexadecimal.")
    detail: dict[str, Any] | None


class History(BaseModel):
    """Oldest first."""

    history: list[HistoryStep]


class Attachment(BaseModel):
    """A file attached to an event."""

    id: int = Field(description="Within the event, from 1.")
    name: str | None = Field(description="What it is called; null once it is erased, or not mine to read.")
    type: str = Field(description="Media type, by its content.")
    bytes: int = Field(description="Of the content as it is kept.")
    sha256: str = Field(description="SHA-256 of the content as it is kept, in hexadecimal.")
    sent_sha256: str = Field(description="The same of what was sent, before its metadata was dropped.")
    added_by: str
    added_at: dt.datetime
    erased_at: dt.datetime | None


class Attachments(BaseModel):
    """In the order in which they came."""

    attachments: list[Attachment]


class Worker(BaseModel):
    """A worker with duty and load."""

    id: int
    code: str
    name: str
    role: str
    area: str = Field(description="Code of the area served.")
    on_duty: bool
    until: dt.datetime | None
    load: int
    capacity: int | None


class Workers(BaseModel):
    """The nearest level first; `total` also counts those that the limit cuts off."""

    workers: list[Worker]
    total: int


class Unit(BaseModel):
    """A unit with the areas that it serves."""

    id: int
    code: str
    name: str
    kind: str
    areas: list[str]


class Units(BaseModel):
    """Units."""

    units: list[Unit]


class Assignment(BaseModel):
    """Who serves an area."""

    area: str
    kind: Literal["worker", "unit"]
    id: int
    name: str


class Assignments(BaseModel):
    """Who serves which area, many to many."""

    assignments: list[Assignment]


class LineageStep(BaseModel):
    """A change of an area in an edition."""

    edition: int
    in_force_from: dt.datetime | None
    change: str
    old_code: str | None
    new_code: str | None


class Lineage(BaseModel):
    """Where an area came from and went."""

    code: str
    lineage: list[LineageStep]


class Edition(BaseModel):
    """An edition; `in_force_from` null means since ever, `pending` that its moment is yet to come.

    `plan` is the one that made it; null for a load, and for one that takes an earlier edition back.
    """

    id: int
    in_force_from: dt.datetime | None
    published_at: dt.datetime
    published_by: str
    plan: int | None
    note: str | None
    areas_changed: int
    pending: bool


class Editions(BaseModel):
    """Newest first."""

    current: int
    editions: list[Edition]


class SearchResult(BaseModel):
    """Something found; an area has a code, an event its number."""

    type: Literal["area", "street", "event"]
    id: int | None = None
    code: str | None = None
    name: str
    kind: str | None
    path_names: list[str]
    bbox: list[float] | None
    centre: list[float] | None


class SearchResults(BaseModel):
    """Areas first, then streets, then events."""

    results: list[SearchResult]


class Rate(BaseModel):
    """An indicator; null where it is withheld or there is nothing to divide by."""

    numerator: int | None
    denominator: int | None
    value: float | None


class Indicator(Rate):
    """An indicator and the same days a year before."""

    year_before: Rate


class IndicatorsOfArea(BaseModel):
    """An area of several side by side."""

    code: str
    name: str
    kind: str
    count: int | None
    indicators: dict[str, Indicator]


class Step(BaseModel):
    """What was received in a day or month, by its first day; null where it is withheld."""

    day: dt.date | None = None
    month: dt.date | None = None
    count: int | None


class Indicators(BaseModel):
    """What was asked for: indicators and categories, or children, or days, or months."""

    since: dt.datetime = Field(alias="from")
    to: dt.datetime
    indicators: dict[str, Indicator] | None = None
    categories: dict[str, int | None] | None = None
    categories_year_before: dict[str, int | None] | None = None
    children: list[IndicatorsOfArea] | None = None
    days: list[Step] | None = None
    months: list[Step] | None = None
    year_before: list[Step] | None = None


class Health(BaseModel):
    """The process answers."""

    status: Literal["ok"]


class Readiness(BaseModel):
    """Requests can be served."""

    status: Literal["ready"]
    edition: int
    newest_edition: int | None
    live: bool
