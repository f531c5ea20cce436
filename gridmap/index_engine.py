"""Which way a lattice is asked: plain NumPy at once, or compiled code once there is enough to do.

NumPy finds some 4 million places a second and needs nothing. Compiled code is five to ten times as fast, but
Numba costs 0.6 s and 80 MB to import, and ten seconds more where nothing compiled is in its cache (`python -m
gridmap.index --warm` fills it). So nobody waits: a process imports Numba only after it has had about that much
work already, and compiles only after it has had about ten times as much. Calls for fewer than `_BULK` places
do not count; a server that posts events never gets there.
"""

import hashlib
import platform
import threading
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gridmap import index_search
from gridmap.index_lattice import Lattice

Engine = Literal["auto", "numpy", "compiled"]

Floats = NDArray[np.float64]
Rows = NDArray[np.int32]
States = NDArray[np.uint8]

_BULK = 100_000
_IMPORT_AFTER = 2_000_000
_COMPILE_AFTER = 40_000_000

_lock = threading.Lock()
_asked = 0  # places in bulk calls of this process so far
_kernels: ModuleType | None = None
_ready = False  # the kernels can be called without compiling


def locate(lattice: Lattice, lon: Floats, lat: Floats, engine: Engine = "auto") -> tuple[Rows, States]:
    """Rows (-1 for nobody) and states of many places; coordinates may be NaN or infinite."""
    kernels = None if engine == "numpy" else _chosen(len(lon), compiled=engine == "compiled")
    if kernels is None:
        return index_search.locate(lattice, lon, lat)
    rows, states = np.empty(len(lon), dtype=np.int32), np.empty(len(lon), dtype=np.uint8)
    _run(kernels, lattice, (lon, lat, rows, states))
    return rows, states


def _run(kernels: ModuleType, lattice: Lattice, arrays: tuple[Floats, Floats, Rows, States]) -> None:
    lon, lat, rows, states = arrays
    kernels.locate(
        lon,
        lat,
        *lattice.origin,
        lattice.size,
        lattice.columns,
        lattice.rows,
        lattice.root,
        lattice.nodes,
        lattice.pool,
        lattice.coords,
        rows,
        states,
    )


def _chosen(places: int, *, compiled: bool) -> ModuleType | None:
    """The kernels where they are worth it."""
    global _asked, _kernels, _ready  # noqa: PLW0603  # what a process has loaded is a matter of the process
    if not compiled and places < _BULK:
        return None
    with _lock:
        _asked += places
        if _kernels is None and (compiled or _asked >= _IMPORT_AFTER):
            from gridmap import index_kernels  # noqa: PLC0415  # see above

            _kernels = index_kernels
            _ready = _stamp(_kernels).exists()
        if _kernels is not None and not _ready and (compiled or _asked >= _COMPILE_AFTER):
            _compile(_kernels)
            _ready = True
    return _kernels if _ready else None


def _compile(kernels: ModuleType) -> None:
    """Compiles, or loads from the cache, by asking an empty lattice for one place; leaves a stamp."""
    none = np.zeros(0, dtype=np.int32)
    lattice = Lattice((0.0, 0.0), 1.0, 1, 1, np.zeros(1, dtype=np.int32), none, none, np.zeros((0, 2)))
    place = np.zeros(1)
    _run(kernels, lattice, (place, place, np.empty(1, dtype=np.int32), np.empty(1, dtype=np.uint8)))
    if kernels.locate.stats.cache_path:
        _stamp(kernels).touch()


def _stamp(kernels: ModuleType) -> Path:
    """File that says that the cache holds what this machine needs: Numba itself does not tell beforehand."""
    import numba  # noqa: PLC0415  # imported by the kernels already
    from llvmlite import binding  # type: ignore[import-untyped]  # noqa: PLC0415  # no stubs

    source = Path(str(kernels.__file__)).stat()
    parts: list[Any] = [numba.__version__, platform.python_version(), source.st_mtime_ns, source.st_size]
    parts += [binding.get_host_cpu_name(), binding.get_host_cpu_features().flatten()]
    key = hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
    folder = kernels.locate.stats.cache_path or "/nonexistent"
    return Path(folder) / f"index_kernels-{key}.warm"


def warm() -> str:
    """Fills the cache of compiled code, and has this process load it at once; says where it is."""
    _chosen(0, compiled=True)
    if _kernels is not None:
        _compile(_kernels)  # from the cache, which takes another 0.6 s at the first call
    path = None if _kernels is None else _kernels.locate.stats.cache_path
    return str(path) if path else "nowhere: no folder to write to"
