"""What workers of this machine need, begun before Dask is imported: that takes seconds, and a core stands idle.

Workers are forked from a process that imports what they need while the caller imports the same and reads the
grids. The first that is forked builds the index and saves it; the others open the file and share its memory.
"""

import atexit
import multiprocessing
import multiprocessing.forkserver
import multiprocessing.process
import pickle
import shutil
import tempfile
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    from boundaries.assign_grids import Grids

_IMPORTED: Final = ("boundaries.assign_dask", "gridmap.index_store")
_GRIDS: Final = "grids"


def begin() -> None:
    """Starts the process that workers are forked from, where it does not run yet; it ends with this one."""
    multiprocessing.get_context("forkserver").set_forkserver_preload(list(_IMPORTED))
    try:
        multiprocessing.forkserver.ensure_running()
    except OSError:
        # Its socket stands in the folder for temporary files, whose name may be longer than a socket's may be.
        short = tempfile.mkdtemp(prefix="gridmap-", dir="/tmp")  # made here, for its owner alone
        atexit.register(shutil.rmtree, short, ignore_errors=True)
        multiprocessing.process.current_process()._config["tempdir"] = short  # type: ignore[attr-defined]  # noqa: SLF001  # the only place that it is read from
        multiprocessing.forkserver.ensure_running()


class Building:
    """An index that is being built in another process, for all processes of this machine.

    Leaving the context ends the building and removes the files; whoever has opened them keeps what is in them.

    Args:
        grids: checked already.
        bulk: of `Grids.index`.
    """

    def __init__(self, grids: "Grids", *, bulk: bool) -> None:
        self._grids, self._bulk = grids, bulk
        self._end = ExitStack()

    def __enter__(self) -> Self:
        begin()
        with self._end as stack:
            self._folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gridmap-index-")))
            with (self._folder / _GRIDS).open("wb") as file:
                pickle.dump(self._grids, file, protocol=5)
            context = multiprocessing.get_context("forkserver")
            self._process = context.Process(target=_build, args=(self._folder, self._bulk), daemon=True)
            # starting waits until everything is imported there
            pool = stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix="index"))
            self._started: Future[Any] = pool.submit(self._process.start)
            self._end = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        with self._end:
            if self._started.exception() is None:
                self._process.terminate()
                self._process.join()

    def folder(self) -> Path | None:
        """Where the index is, as soon as it is whole; None where its process died."""
        if self._started.exception() is not None:
            return None
        self._process.join()
        return None if self._process.exitcode else self._folder


def _build(folder: Path, bulk: bool) -> None:
    """Runs in the process that builds."""
    from gridmap import index_store  # noqa: PLC0415  # imported there already, and not needed in the caller

    with (folder / _GRIDS).open("rb") as file:
        grids: Grids = pickle.load(file)  # noqa: S301  # the caller's own
    index_store.save(grids.index(bulk=bulk), folder)
