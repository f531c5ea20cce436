"""The outer form of accounts, tokens and records of the audit."""

import datetime as dt
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

Words = Annotated[str, Field(max_length=200)]


class AuditQuery(BaseModel):
    """Filters of the audit."""

    model_config = ConfigDict(populate_by_name=True)
    actor: Words | None = Field(None, description="Name of the account that did it.")
    action: Words | None = Field(None, description="`account.add`; with a dot at its end all that begin so.")
    object: Words | None = Field(None, description="`account:NAME`, `event:NUMBER`, `edition:NUMBER` …")
    area: Words | None = Field(None, description="Code of an area: what concerns it or lies in it.")
    since: str | None = Field(None, alias="from", description="RFC 3339, or a date.")
    to: str | None = Field(None, description="Before it.")
    limit: int = Field(100, ge=1, description="Records a page; at most 1000.")
    cursor: str | None = None


class AuditRecord(BaseModel):
    """Who did or read what."""

    id: int
    at: dt.datetime
    actor: str
    action: str
    object: str
    area: str | None
    edition: int | None
    reason: str | None
    before: str | None = Field(description="SHA-256 of the object's state before, in hexadecimal.")
    after: str | None
    detail: dict[str, Any]
    events: list[int] | None = Field(description="Events whose text was read.")


class AuditPage(BaseModel):
    """Records, newest first."""

    records: list[AuditRecord]
    next: str | None
    head: str | None = Field(description="NUMBER:HASH of the newest sealed block.")
