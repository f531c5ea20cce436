"""The tables of rules that administrators set as data: beside gridmap.models, whose base they share."""

from sqlalchemy.orm import Mapped, mapped_column

from gridmap.models import Base


class Retention(Base):
    """How long the texts of a category are kept after closing."""

    __tablename__ = "retention"
    category: Mapped[str] = mapped_column(primary_key=True)
    days: Mapped[int]


class CategoryClosed(Base):
    """A category that is closed to a role."""

    __tablename__ = "category_closed"
    category: Mapped[str] = mapped_column(primary_key=True)
    role: Mapped[str] = mapped_column(primary_key=True)
