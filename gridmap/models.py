"""The tables, as SQLAlchemy and GeoAlchemy2 see them.

The migrations make them; a test compares the two. Comments on columns stand in the first migration.
"""

import datetime as dt
from typing import Any

import sqlalchemy as sa
from geoalchemy2 import Geometry
from sqlalchemy.dialects.postgresql import ARRAY, BYTEA, INT8MULTIRANGE, JSONB, REAL, TIMESTAMP
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from gridmap.column_types import XID8, Ltree


def _geometry(kind: str) -> Geometry:
    # Indexes stand in the migrations, by name; GeoAlchemy2 would make its own.
    return Geometry(kind, srid=4326, spatial_index=False)


class Base(DeclarativeBase):
    """Root of the tables."""

    type_annotation_map = {  # noqa: RUF012  # SQLAlchemy reads it off the class
        str: sa.Text(),
        int: sa.Integer(),
        dt.datetime: TIMESTAMP(timezone=True),
        bytes: BYTEA(),
        list[str]: ARRAY(Ltree()),
        dict[str, Any]: JSONB(),
        list[Any]: JSONB(),
    }


def _big_key() -> Any:
    return mapped_column(sa.BigInteger, sa.Identity(always=True), primary_key=True)


def _key() -> Any:
    return mapped_column(sa.Integer, sa.Identity(always=True), primary_key=True)


class Edition(Base):
    """One complete set of boundaries with the moment from which it is in force."""

    __tablename__ = "edition"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    in_force_from: Mapped[dt.datetime] = mapped_column(unique=True)
    published_at: Mapped[dt.datetime] = mapped_column(server_default=sa.func.now())
    published_by: Mapped[str]
    note: Mapped[str] = mapped_column(server_default="")
    areas_changed: Mapped[int]


class EditionPlaced(Base):
    """That events and buildings have been placed by an edition."""

    __tablename__ = "edition_placed"
    edition: Mapped[int] = mapped_column(sa.ForeignKey("edition.id"), primary_key=True, autoincrement=False)
    at: Mapped[dt.datetime] = mapped_column(server_default=sa.text("clock_timestamp()"))
    events: Mapped[int]
    buildings: Mapped[int]


class Area(Base):
    """A jurisdiction or grid, from one edition up to (not including) another."""

    __tablename__ = "area"
    id: Mapped[int] = _big_key()
    kind: Mapped[str]
    code: Mapped[str]
    name: Mapped[str]
    setting: Mapped[str | None]
    parent: Mapped[str | None]
    path: Mapped[str] = mapped_column(Ltree())
    geom: Mapped[Any] = mapped_column(_geometry("MULTIPOLYGON"), nullable=False)
    edition_from: Mapped[int] = mapped_column(sa.ForeignKey("edition.id"))
    edition_to: Mapped[int | None] = mapped_column(sa.ForeignKey("edition.id"))
    touched: Mapped[bool] = mapped_column(server_default=sa.false())


class AreaCode(Base):
    """A code that was used once and never is again for anything else."""

    __tablename__ = "area_code"
    code: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]
    retired_in: Mapped[int | None] = mapped_column(sa.ForeignKey("edition.id"))


class Lineage(Base):
    """Which area came out of which; without a key of its own, read by either code."""

    __tablename__ = "lineage"
    __mapper_args__ = {"primary_key": ["edition", "old_code", "new_code"]}  # noqa: RUF012  # as mappers want it
    edition: Mapped[int] = mapped_column(sa.ForeignKey("edition.id"))
    old_code: Mapped[str | None]
    new_code: Mapped[str | None]
    change: Mapped[str]


class Building(Base):
    """Where people live: a footprint or point with a count of households, from one day to another."""

    __tablename__ = "building"
    id: Mapped[int] = _big_key()
    code: Mapped[str]
    name: Mapped[str] = mapped_column(server_default="")
    kind: Mapped[str] = mapped_column(server_default="residential")
    households: Mapped[int]
    geom: Mapped[Any] = mapped_column(_geometry("GEOMETRY"), nullable=False)
    place: Mapped[Any] = mapped_column(_geometry("POINT"), nullable=False)
    leaf: Mapped[str | None]
    owner: Mapped[str | None]
    paths: Mapped[list[str]] = mapped_column(server_default="{}")
    valid_from: Mapped[dt.date] = mapped_column(server_default="-infinity")
    valid_to: Mapped[dt.date | None]
    keep_together: Mapped[str | None]
    added_in: Mapped[int | None] = mapped_column(sa.ForeignKey("edition.id"))


class HouseholdCount(Base):
    """Households and buildings of an area today, derived from buildings."""

    __tablename__ = "household_count"
    code: Mapped[str] = mapped_column(primary_key=True)
    households: Mapped[int]
    buildings: Mapped[int]


class Street(Base):
    """A street, river or railway."""

    __tablename__ = "street"
    id: Mapped[int] = _big_key()
    code: Mapped[str | None]
    name: Mapped[str] = mapped_column(server_default="")
    class_: Mapped[str] = mapped_column("class", server_default="street")
    geom: Mapped[Any] = mapped_column(_geometry("MULTILINESTRING"), nullable=False)


class Unit(Base):
    """A centre, police station, justice office, department or mediation committee."""

    __tablename__ = "unit"
    id: Mapped[int] = _key()
    code: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    kind: Mapped[str]
    retired_at: Mapped[dt.datetime | None]


class Worker(Base):
    """Somebody who handles events."""

    __tablename__ = "worker"
    id: Mapped[int] = _key()
    code: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    role: Mapped[str]
    capacity: Mapped[int] = mapped_column(server_default="8")
    unit: Mapped[int | None] = mapped_column(sa.ForeignKey("unit.id"))
    retired_at: Mapped[dt.datetime | None]


class ServiceArea(Base):
    """Who serves which area from when to when."""

    __tablename__ = "service_area"
    id: Mapped[int] = _big_key()
    worker: Mapped[int | None] = mapped_column(sa.ForeignKey("worker.id"))
    unit: Mapped[int | None] = mapped_column(sa.ForeignKey("unit.id"))
    area: Mapped[str]
    valid_from: Mapped[dt.datetime] = mapped_column(server_default="-infinity")
    valid_to: Mapped[dt.datetime | None]


class Shift(Base):
    """A weekly pattern of duty in local time."""

    __tablename__ = "shift"
    id: Mapped[int] = _big_key()
    worker: Mapped[int] = mapped_column(sa.ForeignKey("worker.id"))
    weekday: Mapped[int] = mapped_column(sa.SmallInteger)
    starts_at: Mapped[dt.time]
    ends_at: Mapped[dt.time]
    valid_from: Mapped[dt.date] = mapped_column(server_default="-infinity")
    valid_to: Mapped[dt.date | None]


class Subcategory(Base):
    """A finer kind of event; data, not code."""

    __tablename__ = "subcategory"
    code: Mapped[str] = mapped_column(primary_key=True)
    category: Mapped[str]
    name_zh: Mapped[str]
    name_en: Mapped[str]
    sensitive: Mapped[bool] = mapped_column(server_default=sa.false())


class EventKey(Base):
    """What a source calls an event, and the digest of what it sent."""

    __tablename__ = "event_key"
    source: Mapped[str] = mapped_column(primary_key=True)
    external_id: Mapped[str] = mapped_column(primary_key=True)
    event: Mapped[int] = mapped_column(sa.BigInteger)
    digest: Mapped[bytes]


class Event(Base):
    """Something that happened somewhere, and whose it is."""

    __tablename__ = "event"
    id: Mapped[int] = mapped_column(
        sa.BigInteger,
        sa.Sequence("event_id"),
        server_default=sa.text("nextval('event_id')"),
        primary_key=True,
    )
    source: Mapped[str]
    external_id: Mapped[str]
    category: Mapped[str]
    subcategory: Mapped[str | None] = mapped_column(sa.ForeignKey("subcategory.code"))
    urgency: Mapped[str] = mapped_column(server_default="normal")
    occurred_at: Mapped[dt.datetime]
    reported_at: Mapped[dt.datetime] = mapped_column(server_default=sa.func.now())
    geom: Mapped[Any | None] = mapped_column(_geometry("POINT"))
    x: Mapped[float | None]
    y: Mapped[float | None]
    crs: Mapped[str | None]
    accuracy_m: Mapped[float | None] = mapped_column(REAL)
    method: Mapped[str]
    distance_m: Mapped[float | None]
    edition: Mapped[int] = mapped_column(sa.ForeignKey("edition.id"))
    owner_then: Mapped[str | None]
    owner_now: Mapped[str | None]
    leaf_then: Mapped[str | None]
    leaf_now: Mapped[str | None]
    paths_then: Mapped[list[str]]
    paths_now: Mapped[list[str]]
    cell: Mapped[int | None] = mapped_column(sa.BigInteger)
    status: Mapped[str]
    revision: Mapped[int] = mapped_column(server_default="1")
    worker: Mapped[int | None] = mapped_column(sa.ForeignKey("worker.id"))
    unit: Mapped[int | None] = mapped_column(sa.ForeignKey("unit.id"))
    why: Mapped[list[Any]] = mapped_column(server_default="[]")
    accept_due_at: Mapped[dt.datetime | None]
    resolve_due_at: Mapped[dt.datetime | None]
    accepted_at: Mapped[dt.datetime | None]
    resolved_at: Mapped[dt.datetime | None]
    closed_at: Mapped[dt.datetime | None]


class EventText(Base):
    """What may speak of people: apart, sealed, erasable."""

    __tablename__ = "event_text"
    event: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True, autoincrement=False)
    title: Mapped[str | None]
    description: Mapped[str | None]
    address: Mapped[str | None]
    contact: Mapped[bytes | None]
    erased_at: Mapped[dt.datetime | None]


class EventAttachment(Base):
    """A picture or paper of an event: apart, sealed, erasable; its digests stay."""

    __tablename__ = "event_attachment"
    event: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    name: Mapped[str | None]
    type: Mapped[str]
    size_bytes: Mapped[int]
    sha256: Mapped[bytes]
    sent_sha256: Mapped[bytes]
    content: Mapped[bytes | None]
    added_by: Mapped[str]
    added_at: Mapped[dt.datetime] = mapped_column(server_default=sa.func.clock_timestamp())
    erased_at: Mapped[dt.datetime | None]
    __table_args__ = (sa.UniqueConstraint("event", "sent_sha256"),)


class EventHistory(Base):
    """A step in an event's life; append-only."""

    __tablename__ = "event_history"
    id: Mapped[int] = _big_key()
    event: Mapped[int] = mapped_column(sa.BigInteger)
    at: Mapped[dt.datetime] = mapped_column(server_default=sa.func.now())
    actor: Mapped[str]
    action: Mapped[str]
    status: Mapped[str]
    edition: Mapped[int]
    digest: Mapped[bytes | None]
    detail: Mapped[dict[str, Any]] = mapped_column(server_default="{}")


class ChangeLog(Base):
    """What live readers follow."""

    __tablename__ = "change_log"
    id: Mapped[int] = _big_key()
    transaction: Mapped[int] = mapped_column(XID8(), server_default=sa.text("pg_current_xact_id()"))
    at: Mapped[dt.datetime] = mapped_column(server_default=sa.func.now())
    topic: Mapped[str]
    event: Mapped[int | None] = mapped_column(sa.BigInteger)
    edition: Mapped[int | None]
    paths: Mapped[list[str]] = mapped_column(server_default="{}")


class Account(Base):
    """Who may sign in: a person or a machine."""

    __tablename__ = "account"
    id: Mapped[int] = _key()
    name: Mapped[str] = mapped_column(unique=True)
    display_name: Mapped[str]
    password_hash: Mapped[str | None]
    worker: Mapped[int | None] = mapped_column(sa.ForeignKey("worker.id"))
    source: Mapped[str | None]
    token_version: Mapped[int] = mapped_column(server_default="1")
    created_at: Mapped[dt.datetime] = mapped_column(server_default=sa.func.now())
    signed_in_at: Mapped[dt.datetime | None]
    disabled_at: Mapped[dt.datetime | None]


class AccountRole(Base):
    """A role held for an area."""

    __tablename__ = "account_role"
    account: Mapped[int] = mapped_column(sa.ForeignKey("account.id", ondelete="CASCADE"), primary_key=True)
    role: Mapped[str] = mapped_column(primary_key=True)
    area: Mapped[str] = mapped_column(primary_key=True)


class Token(Base):
    """What was issued to an account."""

    __tablename__ = "token"
    id: Mapped[str] = mapped_column(primary_key=True)
    account: Mapped[int] = mapped_column(sa.ForeignKey("account.id", ondelete="CASCADE"))
    kind: Mapped[str]
    label: Mapped[str] = mapped_column(server_default="")
    issued_at: Mapped[dt.datetime] = mapped_column(server_default=sa.func.now())
    issued_by: Mapped[str]
    expires_at: Mapped[dt.datetime | None]
    revoked_at: Mapped[dt.datetime | None]


class AccountIdentity(Base):
    """Whom an external provider's word binds, by issuer and subject; awaited by name while it has no subject."""

    __tablename__ = "account_identity"
    account: Mapped[int] = mapped_column(sa.ForeignKey("account.id", ondelete="CASCADE"), primary_key=True)
    issuer: Mapped[str] = mapped_column(primary_key=True)
    subject: Mapped[str | None]
    named: Mapped[str | None]
    added_at: Mapped[dt.datetime] = mapped_column(server_default=sa.func.now())
    added_by: Mapped[str]
    bound_at: Mapped[dt.datetime | None]
    awaited_until: Mapped[dt.datetime | None]
    __table_args__ = (sa.UniqueConstraint("issuer", "subject"),)


class SignInFailure(Base):
    """Failed tries by a name or from an address, under a digest of it."""

    __tablename__ = "sign_in_failure"
    key: Mapped[bytes] = mapped_column(primary_key=True)
    failures: Mapped[int]
    last_at: Mapped[dt.datetime]


class Audit(Base):
    """Who did or read what, when, why; append-only."""

    __tablename__ = "audit"
    id: Mapped[int] = _big_key()
    at: Mapped[dt.datetime] = mapped_column(server_default=sa.func.clock_timestamp())
    actor: Mapped[str]
    action: Mapped[str]
    object: Mapped[str]
    area: Mapped[str | None]
    paths: Mapped[list[str]] = mapped_column(server_default="{}")
    edition: Mapped[int | None]
    reason: Mapped[str | None]
    before_digest: Mapped[bytes | None]
    after_digest: Mapped[bytes | None]
    detail: Mapped[dict[str, Any]] = mapped_column(server_default="{}")
    events: Mapped[list[int] | None] = mapped_column(sa.ARRAY(sa.BigInteger))


class AuditBlock(Base):
    """A seal over rows of audit and history, and over the block before."""

    __tablename__ = "audit_block"
    number: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True, autoincrement=False)
    sealed_at: Mapped[dt.datetime]
    audit_rows: Mapped[Any] = mapped_column(INT8MULTIRANGE)
    history_rows: Mapped[Any] = mapped_column(INT8MULTIRANGE)
    marks: Mapped[bytes]
    previous_hash: Mapped[bytes]
    hash: Mapped[bytes] = mapped_column(unique=True)
    next_xid: Mapped[int] = mapped_column(XID8())
    audit_to: Mapped[int] = mapped_column(sa.BigInteger)
    history_to: Mapped[int] = mapped_column(sa.BigInteger)
    audit_open: Mapped[Any] = mapped_column(INT8MULTIRANGE)
    history_open: Mapped[Any] = mapped_column(INT8MULTIRANGE)
