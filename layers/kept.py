"""What is worked out from one edition's boundaries and kept as long as somebody holds these boundaries."""

import threading
import weakref
from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

from gridmap.snapshot import Snapshot

T = TypeVar("T")


class Kept(Generic[T]):
    """Results by (boundaries, key), made on first use.

    The boundaries are told apart by their array of geometries, not by the edition's number: a snapshot with
    newer household counts shares them, another database's edition 1 does not.

    Args:
        make: works a result out; called once per key, unless two threads come at the same moment.
    """

    def __init__(self, make: Callable[[Snapshot, Any], T]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._results: dict[int, dict[Hashable, T]] = {}

    def get(self, snapshot: Snapshot, key: Hashable = None) -> T:
        """The result for a key."""
        geometries = snapshot.geom
        with self._lock:
            if id(geometries) not in self._results:
                self._results[id(geometries)] = {}
                weakref.finalize(geometries, self._results.pop, id(geometries), None)
            results = self._results[id(geometries)]
        if key not in results:
            results[key] = self._make(snapshot, key)
        return results[key]
