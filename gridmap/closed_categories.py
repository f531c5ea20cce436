"""Which categories are closed to which roles: kept as data, set by those who administer everything, at once in force.

    set_closings(session, by, "police_case", ["commander", "planner"], reason="…")

Whoever holds only roles to which a category is closed is answered as if there were no event of it; what that means
for rows, counts and posts stands in `gridmap.access` and docs/adr/0018.
"""

from collections.abc import Collection

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gridmap.access import ROLES
from gridmap.accounts import Administrator, tell
from gridmap.audit import Entry, record
from gridmap.db import Writer
from gridmap.errors import Forbidden, InvalidInput
from gridmap.events import CATEGORIES


def closings(session: Session) -> dict[str, list[str]]:
    """The roles to which each category is closed, in the order of the table of roles; every category is named."""
    rows = session.execute(sa.text("SELECT category, role FROM category_closed")).all()
    closed = {(category, role) for category, role in rows}
    return {category: [role for role in ROLES if (category, role) in closed] for category in CATEGORIES}


def set_closings(
    session: Writer, by: Administrator, category: str, roles: Collection[str], reason: str
) -> None:
    """Closes a category to these roles and to no other, once the caller commits: also on open streams.

    Raises:
        InvalidInput: no such category (`unknown_category`) or role (`unknown_role`), or no reason (`no_reason`).
        Forbidden: it holds in all areas, so whoever administers some may not (`beyond_your_areas`).
    """
    check(category, roles)
    if not reason.strip():
        raise InvalidInput("A reason is needed", code="no_reason")
    if by.scope.paths is not None:
        raise Forbidden(
            "Closings hold for all areas: administrators of everything set them", code="beyond_your_areas"
        )
    # One change after the other: each is recorded with what it found.
    session.execute(sa.text("LOCK TABLE category_closed IN SHARE ROW EXCLUSIVE MODE"))
    before = closings(session)[category]
    session.execute(
        sa.text("DELETE FROM category_closed WHERE category = :category AND role <> ALL(:roles)"),
        {"category": category, "roles": list(roles)},
    )
    session.execute(
        sa.text(
            "INSERT INTO category_closed (category, role) SELECT :category, unnest(CAST(:roles AS text[]))"
            " ON CONFLICT DO NOTHING"
        ),
        {"category": category, "roles": list(roles)},
    )
    after = closings(session)[category]
    record(
        session,
        Entry(
            by.name,
            "category.close",
            f"category:{category}",
            reason=reason,
            before=before,
            after=after,
            detail={**by.detail, "closed_to": after, "opened_to": sorted(set(before) - set(after))},
        ),
    )
    tell(session)


def check(category: str, roles: Collection[str]) -> None:
    """Whether there are such a category and such roles.

    Raises:
        InvalidInput: `unknown_category` or `unknown_role`.
    """
    if category not in CATEGORIES:
        raise InvalidInput(
            f"{category!r} is no category; allowed: {', '.join(CATEGORIES)}", code="unknown_category"
        )
    for role in roles:
        if role not in ROLES:
            raise InvalidInput(f"{role!r} is no role; allowed: {', '.join(ROLES)}", code="unknown_role")
