"""The server process of a private cluster: who it is, ending it, clearing up after it was killed."""

import contextlib
import os
import select
import signal
import socket
import time
from pathlib import Path

from gridmap.cluster.home import Place
from gridmap.errors import NotPossible, Unavailable

STOP_PATIENCE_S = 60.0
STARTING, READY, GONE = "starting", "ready", "gone"


def postmaster_pid(place: Place) -> int | None:
    """Process id of the server that runs on this data folder, or None.

    A pid file proves nothing: its server may have been killed, and its number may be another
    process's by now. The server alone works in the data folder.
    """
    lines = _pid_file(place)
    if not lines or not lines[0].isdigit():
        return None
    pid = int(lines[0])
    return pid if _works_in(pid, place) else None


def _works_in(pid: int, place: Place) -> bool:
    folder = f"/proc/{pid}/cwd"
    try:
        return Path(folder).samefile(place.data)
    except FileNotFoundError:
        return _is_alive(pid) and not Path("/proc/self").exists()
    except PermissionError:
        # Root in a container may signal another user's process but not look at it; its user may.
        if not place.account.switches or Path(f"/proc/{pid}").stat().st_uid != place.account.uid:
            return False
        argv = ["/usr/bin/test", folder, "-ef", str(place.data)]
        return place.account.run(argv, folder=Path("/")).returncode == 0


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True


def _pid_file(place: Place) -> list[str]:
    try:
        return [
            line.strip() for line in (place.data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        ]
    except OSError:
        return []


def state(place: Place) -> str:
    """`READY`, `STARTING` (recovering, perhaps) or `GONE` (or on its way out), by the server's own word."""
    if postmaster_pid(place) is None:
        return GONE
    word = _pid_file(place)[7:8]
    # "standby": it reads an archived log up to a moment, and lets nobody in before.
    return READY if word == ["ready"] else STARTING if word in (["starting"], ["standby"], []) else GONE


def socket_in_use(place: Place) -> str | None:
    """Folder of the socket that the running server listens on."""
    lines = _pid_file(place)
    return lines[4] if len(lines) > 4 and lines[4] and postmaster_pid(place) else None


def accepts(folder: str) -> bool:
    """Whether somebody listens on the socket in `folder`; needs no password and no free connection."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(10)
        try:
            probe.connect(f"{folder}/.s.PGSQL.5432")
        except OSError:
            return False
    return True


def halt(place: Place, way: signal.Signals = signal.SIGINT) -> None:
    """Ends the server where it runs; at once where it does not end in time (the log covers for it)."""
    pid = postmaster_pid(place)
    if pid is None:
        return
    for step, patience_s in ((way, STOP_PATIENCE_S), (signal.SIGQUIT, 15.0), (signal.SIGKILL, 15.0)):
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            return
        try:
            signal.pidfd_send_signal(handle, step)
            if select.select([handle], [], [], patience_s)[0]:
                return
        except ProcessLookupError:
            return
        except PermissionError as error:
            raise NotPossible(
                f"The database of {place.home} runs as another user: stop it as that user or as root.",
                code="not_owner",
            ) from error
        finally:
            os.close(handle)


def clear_after_crash(place: Place) -> None:
    """Removes what a killed server left: backends that still hold its memory, then its pid file.

    Raises:
        Unavailable: a backend cannot be ended. A second server beside it would tear the data apart.
    """
    if postmaster_pid(place) is not None:
        return
    for way, patience_s in ((signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0)):
        deadline = time.monotonic() + patience_s
        while orphans := _orphans(place):
            for pid in orphans:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, way)
            if time.monotonic() > deadline:
                break
            time.sleep(0.02)
    if left := _orphans(place):
        raise Unavailable(
            f"Processes {', '.join(map(str, left))} of a killed database server in {place.data} do not end (a disk"
            " that hangs?): wait for them, then try again."
        )
    (place.data / "postmaster.pid").unlink(missing_ok=True)


def _orphans(place: Place) -> list[int]:
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [pid for pid in pids if _is_postgres(pid) and _works_in(pid, place)]


def _is_postgres(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").startswith("postgres")
    except OSError:
        return False
