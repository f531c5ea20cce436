"""Keeping the private database running while the service is.

The server is nobody's child: it outlives the service on purpose, so nobody is told when it dies. Every process of
the service looks after it; the cluster's lock lets one of them start it, and the others find it running.
"""

import logging
import threading
import time
from collections.abc import Callable

from gridmap.embedded import Cluster
from gridmap.errors import GridmapError

LOOK_EVERY_S = 0.2
LEAST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
_log = logging.getLogger(__name__)


class Keeper:
    """A thread that starts a private cluster again when it was killed, from `start` to `stop`.

    What `gridmap db stop` ended is left alone. A start that fails (a full disk, say) is tried again after a pause
    that doubles up to a minute.

    Args:
        cluster: whose server it is.
        is_well: whether somebody talks with the server; while that is so nothing else is looked at.
    """

    def __init__(self, cluster: Cluster, is_well: Callable[[], bool]) -> None:
        self._cluster, self._is_well = cluster, is_well
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="gridmap-keeper", daemon=True)

    def start(self) -> None:
        """Begins to look."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread; a start that is under way is finished by the server itself."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)

    def _keep(self) -> None:
        pause = LEAST_PAUSE_S
        while not self._stopping.wait(LOOK_EVERY_S):
            if self._is_well():
                continue
            try:
                began = time.monotonic()
                if not self._cluster.revive():
                    continue
                _log.warning("the private database was gone and runs again after %.1f s",
                             time.monotonic() - began)  # fmt: skip
                pause = LEAST_PAUSE_S
            except GridmapError as error:
                pause = min(2 * pause, LONGEST_PAUSE_S)
                _log.error("%s (trying again in %.0f s)", error.message, pause)
            except Exception:  # noqa: BLE001  # nobody else would look after it
                pause = LONGEST_PAUSE_S
                _log.exception("the private database could not be started again")
            self._stopping.wait(pause)
