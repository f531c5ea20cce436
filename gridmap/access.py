"""Who may do what, and where: the one place that turns a principal into conditions.

A role is held for areas. What a role may do stands in one table (interface.md, Roles); where it may, in the
paths of its areas: everything below `path` is in its scope, `path <@ scope`. Rows, tiles, heat, exports,
streams and cache keys all ask here.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from gridmap.errors import Forbidden

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

    def condition(self, column: str, bind: str = "scope") -> tuple[str, dict[str, object]]:
        """SQL for "this row is in scope" and its binds; `column` is an ltree or an ltree[]."""
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

    def __bool__(self) -> bool:
        return self.paths is None or bool(self.paths)


@dataclass(frozen=True)
class Role:
    """A role held for an area: a code, or `*` for all. `path` is where that area lies today."""

    role: str
    area: str
    path: str | None = None


@dataclass(frozen=True)
class Principal:
    """Somebody who has signed in, or a machine with a token."""

    name: str
    display_name: str
    roles: tuple[Role, ...]
    account: int = 0
    worker: int | None = None
    source: str | None = None
    _scopes: dict[Action, Scope] = field(default_factory=dict, repr=False, compare=False, hash=False)

    def scope(self, action: Action) -> Scope:
        """Where this principal may do something; an empty scope where nowhere."""
        if action not in self._scopes:
            held = [role for role in self.roles if action in MAY[role.role]]
            self._scopes[action] = (
                Scope(None)
                if any(role.area == EVERYWHERE for role in held)
                else Scope.of(role.path for role in held if role.path)
            )
        return self._scopes[action]

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

    def reads_text(self, paths: Iterable[str], worker: int | None) -> bool:
        """Whether this principal handles an event in these areas that this worker has in hand."""
        if self.worker is not None and self.worker == worker:
            return True
        return self.scope("text").holds_any(paths)

    def acts_on(self, paths: Iterable[str], worker: int | None) -> bool:
        """Whether this principal acts on an event likewise: a worker on their own alone, others in their areas."""
        areas = tuple(paths)
        return self.reads_text(areas, worker) or self.scope("admin").holds_any(areas)
