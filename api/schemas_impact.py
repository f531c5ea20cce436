"""The outer form of a plan's impact."""

import datetime as dt
from typing import Literal

from pydantic import BaseModel, Field

from api.schemas import Category


class Flow(BaseModel):
    """Land that one area gives another, or keeps."""

    old: str | None
    new: str | None
    households: int
    buildings: int


class GridChange(BaseModel):
    """Areas of one kind that change together."""

    kind: str
    old: list[str]
    new: list[str]
    change: Literal["split", "merge", "retire", "create", "reshape", "rename"] = Field(
        description="The first of these that is among it."
    )
    households: int = Field(description="Of all who live there.")
    flows: list[Flow]


class MovedBuilding(BaseModel):
    """A building that lies in another grid."""

    code: str
    households: int | None = Field(description="Null for whoever may not see those of single buildings.")
    from_: str | None = Field(alias="from", description="Finest grid before; null for none.")
    to: str | None
    lon: float
    lat: float


class MovedOfKind(BaseModel):
    """Buildings and households that have another grid of a kind."""

    buildings: int
    households: int


class MovedBuildings(BaseModel):
    """Buildings whose finest nesting grid is another one."""

    count: int
    households: int
    by_kind: dict[str, MovedOfKind]
    items: list[MovedBuilding] = Field(description="The first 500, by code.")
    more: int = Field(description="How many are not listed.")


class ServingPerson(BaseModel):
    """A worker who serves other areas inside the plan's scope than before, or other households in them."""

    id: int
    name: str
    role: str
    from_: list[str] = Field(alias="from")
    to: list[str]
    households_before: int
    households: int


class ServingUnit(BaseModel):
    """A unit likewise."""

    id: int
    name: str
    kind: str
    from_: list[str] = Field(alias="from")
    to: list[str]
    households_before: int
    households: int


class Handler(BaseModel):
    """Who has an event; `role` of a worker, kind of a unit."""

    kind: Literal["worker", "unit"]
    id: int
    name: str | None
    role: str | None


class MovedEvent(BaseModel):
    """An open event that lies in another grid, or would be somebody else's. Its due times stay."""

    id: int
    category: Category
    status: str
    urgency: str
    from_: str | None = Field(alias="from")
    to: str | None
    handler: Handler | None
    handler_after: Handler | None = Field(
        description="The same where it is accepted; else whom the rules name this moment."
    )
    offered: Handler | None = Field(description="To whom whoever keeps it may hand it over.")
    accept_due_at: dt.datetime | None
    resolve_due_at: dt.datetime | None


class MovedEvents(BaseModel):
    """Open events that lie in another grid, or would be somebody else's.

    Whoever sees no events there gets rounded numbers of those in another grid, without sensitive sub-categories.
    """

    open: int | None = Field(description="How many; null where withheld.")
    routed: int | None = Field(description="Of these not yet accepted: routed anew.")
    kept: int | None = Field(description="Of these accepted: whoever has them keeps them.")
    items: list[MovedEvent] = Field(description="The first 500, for who sees events there; else none.")
    more: int = Field(description="How many are not listed.")
    withhold_below: int | None = Field(description="Smaller numbers are withheld; null where I see all.")
    rounded_to: int | None = Field(description="Other numbers are rounded to it; null where I see all.")


class ImpactCheck(BaseModel):
    """A condition of publishing, and whether it holds."""

    code: Literal[
        "no_errors",
        "base_current",
        "households_conserved",
        "households_in_range",
        "everybody_has_a_worker",
        "notice_over",
        "sets_whole",
    ]
    ok: bool
    text: str


class PlanImpact(BaseModel):
    """What a plan changes if it is published as it is now."""

    revision: int
    grids: list[GridChange]
    buildings: MovedBuildings
    workers: list[ServingPerson]
    units: list[ServingUnit]
    events: MovedEvents
    retired: list[str]
    born: list[str]
    checks: list[ImpactCheck]
