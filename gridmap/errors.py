"""What can go wrong, in the words of the domain. Nothing here knows of HTTP or exit codes.

GridmapError
├── InvalidInput    malformed or impossible content; `findings` name the places
├── NotFound        no such thing, or not within the caller's areas: the same answer for both
├── Forbidden       the caller's roles do not allow it
├── Unauthorised    no valid credentials
├── Conflict        a stale revision, a step that the state does not allow, an id already used otherwise
├── Unavailable     storage is away for the moment; trying again is safe
└── NotPossible     this machine lacks something; the message is one sentence with the remedy
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar


class GridmapError(Exception):
    """Root of everything that gridmap raises on purpose.

    Args:
        message: one sentence for a person, with what is allowed or what to do.
        code: stable token for programs; the class has a default.
        findings: places of the trouble, each with `field`, `row`, `line` or `where`, and `message`.
    """

    default_code: ClassVar[str] = "error"

    def __init__(
        self, message: str, *, code: str | None = None, findings: Sequence[Mapping[str, Any]] = ()
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code
        self.findings = [dict(finding) for finding in findings]


class InvalidInput(GridmapError):
    """Content that is malformed or impossible."""

    default_code = "invalid_input"


class NotFound(GridmapError):
    """Not there, or not within the caller's areas."""

    default_code = "not_found"


class Forbidden(GridmapError):
    """The caller's roles do not allow it."""

    default_code = "forbidden"


class Unauthorised(GridmapError):
    """No valid credentials."""

    default_code = "unauthorised"


class Conflict(GridmapError):
    """It collides with what is stored."""

    default_code = "conflict"


class Unavailable(GridmapError):
    """Storage is away for the moment; trying again is safe."""

    default_code = "unavailable"


class NotPossible(GridmapError):
    """This machine lacks something; the message is one sentence with the remedy."""

    default_code = "not_possible"
