"""Who may do what, and where: the one place that turns a principal into conditions.

A role is held for areas. What a role may do stands in one table (interface.md, Roles); where it may, in the
paths of its areas: everything below `path` is in its scope, `path <@ scope`. Rows, tiles, heat, exports,
streams and cache keys all ask here.

A category may be closed to roles (docs/adr/0018): what these allow then holds for events of all others. Where
something is allowed for events is therefore a `Reach`: a scope, and narrower ones for some categories.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from gridmap.errors import Forbidden

Clauses = tuple[str, dict[str, object]]
Closings = tuple[tuple[str, str], ...]
Action = Literal[
    "areas",  # see areas and editions
    "counts",  # see counts of events: heat, indicators
    "events",  # see events, without their text
    "text",  # see text and contact of events
    "exact",  # see exact small counts, in grids
    "exact_villages",  # the same from villages up
    "households",  # see the households of single buildings
    "post",  # post events
    "act",  # act on events
    "plan",  # edit and submit plans
    "approve",  # approve and publish plans
    "admin",  # users, settings, audit
]

MAY: Mapping[str, frozenset[Action]] = {
    "admin": frozenset(
        {
            "areas", "counts", "events", "exact", "exact_villages", "households", "post", "act", "plan",
            "approve", "admin",
        }
    ),
    "planner": frozenset({"areas", "counts", "households", "plan"}),
    "approver": frozenset({"areas", "counts", "approve"}),
    "dispatcher": frozenset({"areas", "counts", "events", "text", "exact", "exact_villages", "post", "act"}),
    "commander": frozenset({"areas", "counts", "events", "exact_villages"}),
    "worker": frozenset({"areas", "counts", "events", "post", "act"}),
    "source": frozenset({"post"}),
}  # fmt: skip
ROLES = tuple(MAY)
EVERYWHERE = "*"


@dataclass(frozen=True)
class Scope:
    """Paths below which something is allowed: None means everywhere, an empty tuple nowhere."""

    paths: tuple[str, ...] | None

    @classmethod
    def of(cls, paths: Iterable[str]) -> "Scope":
        """The scope of some paths, without those below others; sorted, so that it can be a cache key."""
        kept: list[str] = []
        for path in sorted(set(paths)):
            if not any(path == above or path.startswith(above + ".") for above in kept):
                kept.append(path)
        return cls(tuple(kept))

    def condition(self, column: str, bind: str = "scope") -> Clauses:
        """SQL for "this row is in scope" and its binds; `column` is an ltree or an ltree[]."""
        return self.within(column, bind)

    def within(self, column: str, bind: str = "scope") -> Clauses:
        """The part of the condition that is of areas alone: all of it, where no category is narrower."""
        if self.paths is None:
            return "TRUE", {}
        if not self.paths:
            return "FALSE", {}
        if len(self.paths) == 1:  # a plain operator can use the index, ANY over an array may not
            return f"{column} <@ CAST(:{bind} AS ltree)", {bind: self.paths[0]}
        return f"{column} <@ ANY(CAST(:{bind} AS ltree[]))", {bind: list(self.paths)}

    def holds(self, path: str) -> bool:
        """Whether an area of this path lies in the scope."""
        if self.paths is None:
            return True
        return any(path == scope or path.startswith(scope + ".") for scope in self.paths)

    def holds_any(self, paths: Iterable[str]) -> bool:
        """Whether something in all these areas lies in the scope, as `paths <@ scope` says in SQL."""
        return self.paths is None or any(map(self.holds, paths))

    def reaches(self, path: str) -> bool:
        """Whether an area of this path, or one inside it, lies in the scope."""
        return self.holds(path) or any(scope.startswith(path + ".") for scope in self.paths or ())

    def __or__(self, other: "Scope") -> "Scope":
        if self.paths is None or other.paths is None:
            return Scope(None)
        return Scope.of((*self.paths, *other.paths))

    def open_to(self, category: str | None) -> "Scope":
        """The scope for events of a category; None for one that is not known."""
        del category
        return self

    def categories(self, paths: str, bind: str = "scope") -> Clauses:
        """The part of the condition that is of categories; `paths` is the events' column, as `paths_now`."""
        del paths, bind
        return "TRUE", {}

    def __bool__(self) -> bool:
        return self.paths is None or bool(self.paths)


NOWHERE = Scope(())


@dataclass(frozen=True)
class Reach(Scope):
    """Where something is allowed with events: below `paths`, but for some categories only below fewer.

    As a scope it says where anything is allowed; its condition, of columns of events, looks at the category too.
    Like a scope it can be a cache key.

    Attributes:
        narrower: categories with their scope, each a part of the whole; sorted.
    """

    narrower: tuple[tuple[str, Scope], ...] = ()

    @property
    def closed(self) -> tuple[str, ...]:
        """Categories that are closed everywhere."""
        return tuple(category for category, scope in self.narrower if not scope)

    @property
    def partly(self) -> tuple[tuple[str, Scope], ...]:
        """Categories that are closed in some of the areas, with where they are not."""
        return tuple((category, scope) for category, scope in self.narrower if scope)

    def open_to(self, category: str | None) -> Scope:
        """The scope for events of a category; of one that is not known where all are open."""
        if category is None and self.narrower:
            return NOWHERE
        return dict(self.narrower).get(category or "", Scope(self.paths))

    def condition(self, column: str, bind: str = "scope") -> Clauses:
        """SQL for "this event is in reach": of areas, and of the category where some are narrower."""
        areas, binds = self.within(column, bind)
        if not self.narrower:
            return areas, binds
        kinds, more = self.categories(column, bind)
        return f"{areas} AND {kinds}", {**binds, **more}

    def categories(self, paths: str, bind: str = "scope") -> Clauses:
        """The part of the condition that is of categories; beside `paths` stands the column `category`."""
        prefix, dot, _ = paths.rpartition(".")
        category = f"{prefix}{dot}category"
        clauses: list[str] = []
        binds: dict[str, object] = {}
        if self.closed:
            clauses.append(f"{category} <> ALL(:{bind}_closed)")
            binds[f"{bind}_closed"] = list(self.closed)
        for name, scope in self.partly:
            areas, more = scope.within(paths, f"{bind}_{name}")
            clauses.append(f"({category} <> :{bind}_{name}_is OR {areas})")
            binds |= {**more, f"{bind}_{name}_is": name}
        return " AND ".join(clauses) or "TRUE", binds


@dataclass(frozen=True)
class Role:
    """A role held for an area: a code, or `*` for all. `path` is where that area lies today."""

    role: str
    area: str
    path: str | None = None


@dataclass(frozen=True)
class Principal:
    """Somebody who has signed in, or a machine with a token.

    Attributes:
        closings: which category is closed to which role; of all roles, whoever holds them.
    """

    name: str
    display_name: str
    roles: tuple[Role, ...]
    account: int = 0
    worker: int | None = None
    source: str | None = None
    closings: Closings = ()
    _reaches: dict[Action, Reach] = field(default_factory=dict, repr=False, compare=False, hash=False)

    def scope(self, action: Action) -> Scope:
        """Where this principal may do something; an empty scope where nowhere."""
        return Scope(self.reach(action).paths)

    def reach(self, action: Action) -> Reach:
        """The same for what is done with events: some categories may be closed to some of the roles."""
        if action not in self._reaches:
            held = [role for role in self.roles if action in MAY[role.role]]
            whole = _scope(held)
            narrower = []
            for category in sorted({category for category, _ in self.closings}):
                part = _scope(role for role in held if (category, role.role) not in self.closings)
                if part != whole:
                    narrower.append((category, part))
            self._reaches[action] = Reach(whole.paths, tuple(narrower))
        return self._reaches[action]

    @property
    def out_of_hand(self) -> tuple[str, ...]:
        """Categories of which nobody handles an event for having it in hand: those closed to workers."""
        return tuple(category for category, role in self.closings if role == "worker")

    def may(self, action: Action) -> bool:
        """Whether a role of this principal allows it at all, somewhere."""
        return any(action in MAY[role.role] for role in self.roles)

    def require(self, action: Action) -> Scope:
        """The scope of an action.

        Raises:
            Forbidden: no role allows it anywhere.
        """
        if not self.may(action):
            held = "、".join(sorted({role.role for role in self.roles})) or "—"
            raise Forbidden(f"Your roles ({held}) do not allow this: {action}", code="role_forbids")
        return self.scope(action)

    def actions(self) -> tuple[Action, ...]:
        """Everything that some role of this principal allows, in the table's order."""
        return tuple(action for action in get_args(Action) if self.may(action))

    def closed(self) -> tuple[str, ...]:
        """Categories that are closed to every role of this principal."""
        return tuple(
            category
            for category in dict.fromkeys(category for category, _ in self.closings)
            if all((category, role.role) in self.closings for role in self.roles)
        )

    def reads_text(self, paths: Iterable[str], worker: int | None, category: str) -> bool:
        """Whether this principal handles an event of a category in these areas that this worker has in hand."""
        if self.worker is not None and self.worker == worker and category not in self.out_of_hand:
            return True
        return self.reach("text").open_to(category).holds_any(paths)

    def acts_on(self, paths: Iterable[str], worker: int | None, category: str) -> bool:
        """Whether this principal acts on an event likewise: a worker on their own alone, others in their areas."""
        areas = tuple(paths)
        handles = self.reads_text(areas, worker, category)
        return handles or self.reach("admin").open_to(category).holds_any(areas)


def _scope(roles: Iterable[Role]) -> Scope:
    held = list(roles)
    if any(role.area == EVERYWHERE for role in held):
        return Scope(None)
    return Scope.of(role.path for role in held if role.path)
