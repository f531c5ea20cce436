"""A built index in files, for other processes of the same machine: opened in a moment, its arrays shared.

Building is faster than sending an index over a network, and an index that is pickled is pickled as what it was
built from. On one machine a file is faster than either: who opens it maps it, so that any number of processes
hold one copy of the lattice among them.
"""

import mmap
import pickle
from pathlib import Path
from threading import Lock
from typing import Any, Final

from gridmap.index import AreaIndex, GridIndex

_OBJECTS: Final = "index.objects"
_ARRAYS: Final = "index.arrays"
_ALIGNED: Final = 64  # bytes; arrays begin where a line of the processor's cache does


def save(index: GridIndex, folder: Path) -> None:
    """Writes an index, and with it what is otherwise built when a place in a gap is first asked for.

    Args:
        index: any.
        folder: that nobody else writes to: what stands in there is trusted when it is read.

    Raises:
        OSError: the disk is full, or the like.
    """
    places: list[tuple[int, int]] = []
    with (folder / _ARRAYS).open("wb") as arrays, (folder / _OBJECTS).open("wb") as objects:

        def aside(buffer: pickle.PickleBuffer) -> None:
            data = buffer.raw()
            places.append((arrays.tell(), data.nbytes))
            arrays.write(data)
            arrays.write(bytes(-arrays.tell() % _ALIGNED))

        _Pickler(objects, protocol=5, buffer_callback=aside).dump(index)
        arrays.write(bytes(_ALIGNED))  # an empty file could not be mapped
    with (folder / f"{_OBJECTS}.places").open("wb") as file:
        pickle.dump(places, file)


def load(folder: Path) -> GridIndex:
    """The index that `save` wrote there. The files may be removed once it is open.

    Raises:
        OSError: there is none.
    """
    with (folder / f"{_OBJECTS}.places").open("rb") as file:
        places = pickle.load(file)  # noqa: S301  # written by `save` into a folder of our own
    with (folder / _ARRAYS).open("rb") as arrays:
        # not read-only: to Numba, arrays that cannot be written are another type, compiled once more
        mapped = memoryview(mmap.mmap(arrays.fileno(), 0, access=mmap.ACCESS_COPY))
    buffers = [mapped[begin : begin + size] for begin, size in places]
    with (folder / _OBJECTS).open("rb") as file:
        index: GridIndex = pickle.load(file, buffers=buffers)  # noqa: S301  # as above
    return index


class _Pickler(pickle.Pickler):
    """Pickles an index as it stands, where its own way is what it was built from."""

    def reducer_override(self, thing: Any) -> Any:
        if not isinstance(thing, AreaIndex):
            return NotImplemented
        thing.complete()
        return _restored, ({name: value for name, value in vars(thing).items() if name != "_lock"},)


def _restored(state: dict[str, Any]) -> AreaIndex:
    index = AreaIndex.__new__(AreaIndex)
    vars(index).update(state, _lock=Lock())
    return index
