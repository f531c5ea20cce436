"""What the index answers: owners, how they were found, and all areas that hold a place."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

METHODS = ("inside", "border", "nearest", "jurisdiction", "stated", "none")
INSIDE, BORDER, NEAREST, JURISDICTION, STATED, NONE = range(6)
OPEN = 6  # within the index only: GEOS must decide

Rows = NDArray[np.int32]
Floats = NDArray[np.float64]
Codes = NDArray[np.uint8]

_METHOD_NAMES = np.array(METHODS, dtype=object)


@dataclass(frozen=True)
class Answer:
    """Owners of many places.

    Attributes:
        position: row of the owner in the frame that the index was built from, int32; -1 where there is none.
        method_code: place of the method in `METHODS`, uint8.
        distance_m: 0 inside and on a border, metres for the nearest, NaN where there is no owner; float64.
    """

    position: Rows
    method_code: Codes
    distance_m: Floats

    @cached_property
    def method(self) -> NDArray[np.object_]:
        """`inside`, `border`, `nearest` or `none`, an object array of shared strings, made when asked for."""
        names: NDArray[np.object_] = _METHOD_NAMES[self.method_code]
        return names

    def counts(self) -> dict[str, int]:
        """How many places were found by each method, in the order of `METHODS`."""
        return _counts(self.method_code)


@dataclass(frozen=True)
class Places:
    """Owners and all areas of many places; rows are those given to `AreaIndex.from_arrays`, -1 for none.

    Attributes:
        owner: the grid whose the place is, int32.
        method_code: place of the method in `METHODS`, uint8.
        distance_m: 0 inside and on a border, metres for the nearest, NaN without an owner; float64.
        leaf: finest area of the nesting hierarchy that holds the place, int32.
        holds: for every kind the area that holds the place, int32.
    """

    owner: Rows
    method_code: Codes
    distance_m: Floats
    leaf: Rows
    holds: dict[str, Rows]

    @cached_property
    def method(self) -> NDArray[np.object_]:
        """The words of `METHODS`, an object array of shared strings, made when asked for."""
        names: NDArray[np.object_] = _METHOD_NAMES[self.method_code]
        return names

    def counts(self) -> dict[str, int]:
        """How many places were found by each method, in the order of `METHODS`."""
        return _counts(self.method_code)


@dataclass(frozen=True, slots=True)
class Place:
    """Owner and all areas of one place; fields as in `Places`."""

    owner: int
    method: str
    distance_m: float
    leaf: int
    holds: dict[str, int]


def _counts(codes: Codes) -> dict[str, int]:
    return dict(zip(METHODS, np.bincount(codes, minlength=len(METHODS)).tolist(), strict=True))
