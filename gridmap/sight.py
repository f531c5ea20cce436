"""What a transaction of the service may see of events and the audit: row-level security, the second line.

The first line are the conditions of `gridmap.access`, which every statement carries. Underneath, the service signs in
as a role that may read no event at all. A transaction that shall takes one of the roles below and says for whom, both
for its own length only; the policies of migration 0004 do the rest. A statement whose condition was forgotten then
answers what the asker may see, and a transaction that forgot to say for whom is refused. See docs/adr/0015.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gridmap.access import Action, Principal, Reach, Scope

SERVICE = "gridmap_service"  # signs in; owns nothing, may pass by no policy
ALL, AREAS, COUNTS, LEAVES, PARTLY, INTAKE = (
    "gridmap_all",  # the service's own work: every row, but nothing that is append-only is changed
    "gridmap_areas",  # rows for somebody: in their areas, and what is sensitive for who handles it
    "gridmap_counts",  # what is counted for somebody: in their areas
    "gridmap_leaves",  # the same by the finest area alone, which indexes hold
    "gridmap_partly",  # the same by the finest area and the category, for whom categories are closed
    "gridmap_intake",  # writes new events; of those that are there reads who has how many in hand
)
ANYWHERE = "*"

# What the administrator of a server of one's own runs in its database: as docs/operations.md and docker/ say it.
FOR_ADMINISTRATORS = f"""\
CREATE ROLE {SERVICE} NOINHERIT;
CREATE ROLE {ALL} BYPASSRLS;
CREATE ROLE {INTAKE} BYPASSRLS;
CREATE ROLE {AREAS};
CREATE ROLE {COUNTS};
CREATE ROLE {LEAVES};
CREATE ROLE {PARTLY};
GRANT {ALL}, {INTAKE}, {AREAS}, {COUNTS}, {LEAVES}, {PARTLY} TO {SERVICE};
GRANT {SERVICE} TO gridmap;
GRANT TEMPORARY ON DATABASE gridmap TO {ALL};
ALTER FUNCTION geometry_overlaps(geometry, geometry) LEAKPROOF;
ALTER FUNCTION ltree_risparent(ltree, ltree) LEAKPROOF;
ALTER FUNCTION _ltree_risparent(ltree[], ltree) LEAKPROOF;
"""

# On a private cluster its administrator makes them, on another server the first migration that needs them, if it may.
# COPY is refused under row-level security, hence BYPASSRLS for the roles that write: of what they may do, rights say
# the rest. Run again, it completes what is missing.
MAKE_ROLES = f"""
DO $$
DECLARE name text;
BEGIN
    IF to_regrole('{SERVICE}') IS NULL THEN CREATE ROLE {SERVICE} NOINHERIT; END IF;
    FOREACH name IN ARRAY ARRAY['{ALL}', '{INTAKE}'] LOOP
        IF to_regrole(name) IS NULL THEN EXECUTE format('CREATE ROLE %I BYPASSRLS', name); END IF;
    END LOOP;
    FOREACH name IN ARRAY ARRAY['{ALL}', '{AREAS}', '{COUNTS}', '{LEAVES}', '{PARTLY}', '{INTAKE}'] LOOP
        IF to_regrole(name) IS NULL THEN EXECUTE format('CREATE ROLE %I', name); END IF;
        IF NOT pg_has_role('{SERVICE}', name, 'MEMBER') THEN EXECUTE format('GRANT %I TO {SERVICE}', name); END IF;
    END LOOP;
    IF NOT pg_has_role(current_user, '{SERVICE}', 'MEMBER') THEN
        EXECUTE format('GRANT {SERVICE} TO %I', current_user);
    END IF;
END $$;
"""

_SETTINGS = (
    "scope", "handled", "worker", "source", "leaves", "beyond", "closed", "closed_handled", "closed_in_hand",
)  # fmt: skip
_TAKE = sa.text(
    "SELECT set_config('role', :role, true), "
    + ", ".join(f"set_config('gridmap.{name}', :{name}, true)" for name in _SETTINGS)
)
_ALSO = sa.text("SELECT set_config('gridmap.' || :name, :value, true)")


@dataclass(frozen=True)
class Sight:
    """A role and for whom it is taken.

    Attributes:
        role: one of those above.
        scope: paths below which everything is in sight, as an array in text; `*` for everywhere.
        handled: the same for what its reader handles: text, and what is sensitive.
        worker: whose events are handled too; empty for nobody's.
        source: whose posts are in sight too; empty for nobody's.
        leaves: codes of finest areas, as an array in text.
        beyond: codes whose finest areas alone are out of sight, likewise; empty where `leaves` says it.
        closed: categories that are in sight below fewer paths or none, likewise.
        closed_handled: the same of what is handled.
        closed_in_hand: categories that are not handled for being in hand.
        openings: below which, as (`scope_` or `handled_` and the category, paths as an array in text).
    """

    role: str
    scope: str = "{}"
    handled: str = "{}"
    worker: str = ""
    source: str = ""
    leaves: str = "{}"
    beyond: str = ""
    closed: str = "{}"
    closed_handled: str = "{}"
    closed_in_hand: str = "{}"
    openings: tuple[tuple[str, str], ...] = ()

    def take(self, connection: sa.Connection) -> None:
        """Takes the role until the transaction ends."""
        connection.execute(_TAKE, {name: getattr(self, name) for name in ("role", *_SETTINGS)})
        if self.openings:
            connection.execute(_ALSO, [{"name": name, "value": paths} for name, paths in self.openings])


EVERYTHING = Sight(ALL)
TAKING_IN = Sight(INTAKE)


def rows(principal: Principal, action: Action = "events") -> Sight:
    """Events, and the audit, as rows for somebody who may do `action` with them."""
    reach, handled = principal.reach(action), principal.reach("text")
    return Sight(
        AREAS,
        scope=_array(reach),
        handled=_array(handled),
        worker="" if principal.worker is None else str(principal.worker),
        source=principal.source or "",
        closed=_closed(reach),
        closed_handled=_closed(handled),
        closed_in_hand=_listed(principal.out_of_hand),
        openings=(*_openings(reach, "scope"), *_openings(handled, "handled")),
    )


def counts(principal: Principal) -> Sight:
    """Events to be counted for somebody: the sensitive among them too, which are counted for all from towns up."""
    reach = principal.reach("counts")
    if reach.paths is None and not reach.narrower:
        return EVERYTHING
    # Where only whole categories are left out, indexes tell it everywhere; else the paths of each event do.
    role = PARTLY if reach.paths is None and not reach.partly else COUNTS
    return Sight(role, scope=_array(reach), closed=_closed(reach), openings=_openings(reach, "scope"))


@contextmanager
def by_leaf(
    session: Session, *, leaves: Sequence[str] = (), beyond: Sequence[str] | None = None
) -> Iterator[None]:
    """What may be counted is told by the finest area of an event for the statements inside; indexes hold that alone.

    Does nothing in a session that sees everything, or that nothing restricts.
    """
    before: Sight | None = session.info.get("sight")
    if before is None or before.role != COUNTS or before.openings:  # a category's own areas are said by paths
        yield
        return
    role = LEAVES if before.closed == "{}" else PARTLY
    narrowed = replace(
        before, role=role, leaves=_listed(leaves), beyond="" if beyond is None else _listed(beyond)
    )
    narrowed.take(session.connection())
    yield
    before.take(session.connection())


def _closed(reach: Reach) -> str:
    return _listed([category for category, _ in reach.narrower])


def _openings(reach: Reach, name: str) -> tuple[tuple[str, str], ...]:
    return tuple((f"{name}_{category}", _array(scope)) for category, scope in reach.partly)


def _listed(codes: Sequence[str]) -> str:
    return "{" + ",".join(codes) + "}"  # no code has a comma


def _array(scope: Scope) -> str:
    return ANYWHERE if scope.paths is None else _listed(scope.paths)
