"""Types of columns that SQLAlchemy does not know."""

from typing import Any

from sqlalchemy.types import UserDefinedType


class Ltree(UserDefinedType[str]):
    """A path of codes from the largest area down, `a.b.c`; PostgreSQL's ltree."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        """The type's name in DDL."""
        return "ltree"


class XID8(UserDefinedType[int]):
    """A transaction number that never wraps."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        """The type's name in DDL."""
        return "xid8"
