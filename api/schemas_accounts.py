"""The outer form of accounts, tokens and records of the audit."""

import datetime as dt
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Words = Annotated[str, Field(max_length=200, pattern=r"^[^\x00]*$")]


class PasswordChange(BaseModel):
    """My old password and the new one."""

    model_config = ConfigDict(extra="forbid")
    old: str = Field(max_length=256)
    new: str = Field(max_length=256, description="12 to 256 characters.")


class PasswordChanged(BaseModel):
    """What holds from now on; a page has its session in the cookie."""

    access_token: str | None
    token_type: Literal["bearer", "session"]
    expires_in: int


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


RoleName = Literal["admin", "planner", "approver", "dispatcher", "commander", "worker", "source"]
AccountName = Annotated[str, Field(min_length=1, max_length=64)]


class HeldRole(BaseModel):
    """A role for an area, or for `*`: all."""

    model_config = ConfigDict(extra="forbid")
    role: RoleName
    area: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^(\*|[A-Za-z0-9_]+)$")]


class UserQuery(BaseModel):
    """Which accounts."""

    q: Words = Field("", description="Part of the name, or of what the pages show.")
    limit: int = Field(100, ge=1, description="Accounts a page; at most 500.")
    cursor: str | None = None


class UserIn(BaseModel):
    """A new account."""

    model_config = ConfigDict(extra="forbid")
    name: AccountName = Field(description="Letters, digits and . _ @ -")
    display_name: Words = ""
    roles: list[HeldRole] = Field(min_length=1, max_length=100)
    password: str | None = Field(None, max_length=256, description="12 to 256 characters; none: tokens only.")
    worker: int | None = Field(None, ge=1, lt=2**31, description="The worker who signs in by it.")
    source: Words | None = Field(None, description="What a machine posts as; its name unless given.")


class Identity(BaseModel):
    """Who of an external provider signs in by an account; awaited while there is no subject."""

    issuer: str
    subject: str | None
    named: str | None = Field(description="What the provider calls the person; counts while awaited only.")
    added_at: dt.datetime
    added_by: str
    bound_at: dt.datetime | None
    awaited_until: dt.datetime | None


class User(BaseModel):
    """An account as an administrator sees it."""

    name: str
    display_name: str
    roles: list[HeldRole]
    elsewhere: bool = Field(description="Whether it holds roles beyond my areas.")
    worker: int | None
    source: str | None
    has_password: bool
    created_at: dt.datetime
    signed_in_at: dt.datetime | None
    disabled_at: dt.datetime | None
    locked: bool | None = None
    identity: Identity | None = Field(
        None, description="Of one account asked for, unless it holds roles elsewhere."
    )
    provider: str | None = Field(None, description="The external provider of this installation, likewise.")


class UserPage(BaseModel):
    """Accounts by name."""

    users: list[User]
    next: str | None


class UserAction(BaseModel):
    """What to do with an account."""

    model_config = ConfigDict(extra="forbid")
    action: Literal[
        "role_add",
        "role_remove",
        "password",
        "identity_bind",
        "identity_unbind",
        "disable",
        "enable",
        "revoke",
    ]
    role: RoleName | None = None
    area: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^(\*|[A-Za-z0-9_]+)$")] | None = None
    password: str | None = Field(None, max_length=256)
    subject: str | None = Field(None, max_length=255, description="Of the person at the provider (`sub`).")
    named: str | None = Field(None, max_length=255, description="Instead: a name to await for seven days.")
    token: Words | None = Field(None, description="Number of one token; all where none is given.")
    reason: Annotated[str, Field(max_length=500, pattern=r"^[^\x00]*$")] | None = None


class TokenOut(BaseModel):
    """A session or token that was issued."""

    id: str
    kind: Literal["bearer", "session", "machine"]
    label: str
    issued_at: dt.datetime
    issued_by: str
    expires_at: dt.datetime | None
    revoked_at: dt.datetime | None


class TokenList(BaseModel):
    """The newest first."""

    tokens: list[TokenOut]


class MachineTokenIn(BaseModel):
    """What the token is for."""

    model_config = ConfigDict(extra="forbid")
    label: Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00]*$")]


class MachineToken(BaseModel):
    """Shown this once."""

    id: str
    label: str
    token: str
