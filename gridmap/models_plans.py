"""The tables of plans, as SQLAlchemy and GeoAlchemy2 see them; beside those of `gridmap.models`."""

import datetime as dt
from typing import Any

import sqlalchemy as sa
from geoalchemy2 import Geometry
from sqlalchemy.orm import Mapped, mapped_column

from gridmap.column_types import Ltree
from gridmap.models import Base


class Plan(Base):
    """A redraw in work."""

    __tablename__ = "plan"
    id: Mapped[int] = mapped_column(sa.Integer, sa.Identity(always=True), primary_key=True)
    name: Mapped[str]
    scope: Mapped[str]
    path: Mapped[str] = mapped_column(Ltree())
    base: Mapped[int] = mapped_column(sa.ForeignKey("edition.id"))
    state: Mapped[str] = mapped_column(server_default="draft")
    revision: Mapped[int] = mapped_column(server_default="1")
    head: Mapped[int] = mapped_column(server_default="0")
    created_by: Mapped[str]
    created_at: Mapped[dt.datetime] = mapped_column(server_default=sa.func.now())
    updated_at: Mapped[dt.datetime] = mapped_column(server_default=sa.func.now())
    submitted_by: Mapped[str | None]
    submitted_at: Mapped[dt.datetime | None]
    approved_by: Mapped[str | None]
    approved_at: Mapped[dt.datetime | None]
    rejected_by: Mapped[str | None]
    rejected_at: Mapped[dt.datetime | None]
    rejected_reason: Mapped[str | None]
    notice_until: Mapped[dt.datetime | None]
    published_by: Mapped[str | None]
    published_at: Mapped[dt.datetime | None]
    edition: Mapped[int | None] = mapped_column(sa.ForeignKey("edition.id"), unique=True)


class PlanEdit(Base):
    """An edit of a plan: as it was asked for, and what was decided on the way."""

    __tablename__ = "plan_edit"
    plan: Mapped[int] = mapped_column(sa.ForeignKey("plan.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    op: Mapped[str]
    request: Mapped[dict[str, Any]]
    told: Mapped[dict[str, Any]]
    actor: Mapped[str]
    at: Mapped[dt.datetime] = mapped_column(server_default=sa.func.now())


class PlanArea(Base):
    """An area as an edit of a plan leaves it."""

    __tablename__ = "plan_area"
    plan: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    code: Mapped[str] = mapped_column(primary_key=True)
    edit: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    retired: Mapped[bool]
    kind: Mapped[str | None]
    name: Mapped[str | None]
    setting: Mapped[str | None]
    parent: Mapped[str | None]
    geom: Mapped[Any | None] = mapped_column(Geometry("MULTIPOLYGON", srid=4326, spatial_index=False))
    touched: Mapped[bool] = mapped_column(server_default=sa.false())
    cause: Mapped[str | None]
    __table_args__ = (
        sa.ForeignKeyConstraint(["plan", "edit"], ["plan_edit.plan", "plan_edit.number"], ondelete="CASCADE"),
    )


class PlanStep(Base):
    """What made a revision of a plan, and who."""

    __tablename__ = "plan_step"
    plan: Mapped[int] = mapped_column(sa.ForeignKey("plan.id"), primary_key=True)
    revision: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    op: Mapped[str]
    actor: Mapped[str]
    at: Mapped[dt.datetime] = mapped_column(server_default=sa.func.now())
    redraws: Mapped[bool]
    detail: Mapped[dict[str, Any]] = mapped_column(server_default="{}")


class PlanComment(Base):
    """What somebody says of a plan."""

    __tablename__ = "plan_comment"
    id: Mapped[int] = mapped_column(sa.BigInteger, sa.Identity(always=True), primary_key=True)
    plan: Mapped[int] = mapped_column(sa.ForeignKey("plan.id"))
    actor: Mapped[str]
    at: Mapped[dt.datetime] = mapped_column(server_default=sa.func.now())
    text: Mapped[str]
