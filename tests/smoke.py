"""Tries an installed wheel: `python -I smoke.py CHECKOUT`, in an environment that holds the wheel alone.

Not for pytest, which is no part of such an environment. Prints a line a check; the last line counts them.
"""
# ruff: noqa: T201  what it prints is what it is for

import importlib
import importlib.metadata
import importlib.resources
import os
import signal
import socket
import subprocess
import sys
import time
import traceback
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

PACKAGES = ("gridmap", "api", "layers", "boundaries")
PROGRAM = Path(sys.executable).with_name("gridmap")
READY_WITHIN_S = 120


def imports_come_from_the_wheel() -> None:
    checkout = Path(sys.argv[1]).resolve()
    for name in PACKAGES:
        module = importlib.import_module(name)
        assert module.__file__, name
        assert not Path(module.__file__).resolve().is_relative_to(checkout), module.__file__
        assert importlib.resources.files(name).joinpath("py.typed").is_file(), f"{name}/py.typed"


def licence_and_classifier_are_inside() -> None:
    metadata = importlib.metadata.metadata("gridmap-service")
    assert "Private :: Do Not Upload" in metadata.get_all("Classifier", [])
    files = {path.name for path in importlib.metadata.files("gridmap-service") or ()}
    assert {"LICENSE", "NOTICE"} <= files, files


def migrations_are_inside() -> None:
    folder = importlib.resources.files("gridmap") / "migrations"
    assert folder.joinpath("env.py").is_file()
    versions = [entry.name for entry in folder.joinpath("versions").iterdir() if entry.name.endswith(".py")]
    assert any(name.startswith("0001") for name in versions), versions


def pages_are_inside() -> None:
    """Every file of the pages that is in the checkout is in the wheel."""
    source = Path(sys.argv[1]) / "api" / "pages"
    installed = importlib.resources.files("api") / "pages"
    wanted = {path.relative_to(source) for path in source.rglob("*") if path.is_file()}
    wanted = {path for path in wanted if "__pycache__" not in path.parts}
    assert wanted, "no pages in the checkout"
    missing = [str(path) for path in sorted(wanted) if not installed.joinpath(*path.parts).is_file()]
    assert not missing, missing[:5]


def command_line_answers() -> None:
    done = subprocess.run([PROGRAM, "--help"], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr[-2000:]
    for word in ("up", "db", "load", "dump", "locate", "user", "token"):
        assert word in done.stdout, word


def service_starts_answers_and_stops() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    service = subprocess.Popen(
        [PROGRAM, "up", "--port", str(port)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        assert get(port, "/readyz", service) == 200
        assert get(port, "/healthz", service) == 200
        assert get(port, "/login", service) == 200
        assert get(port, "/api/me", service) == 401
        assert get(port, "/api/openapi.json", service) == 200
        service.send_signal(signal.SIGTERM)
        assert service.wait(30) in {0, -signal.SIGTERM}
    except BaseException:
        service.kill()
        print((service.communicate()[0] or b"").decode(errors="replace")[-3000:])
        raise
    finally:
        service.kill()
        service.communicate()
        subprocess.run([PROGRAM, "db", "stop"], check=True, timeout=60, capture_output=True)
    status = subprocess.run(
        [PROGRAM, "db", "status", "--json"], check=False, timeout=60, capture_output=True, text=True
    )
    assert '"running": false' in status.stdout, status.stdout + status.stderr


def get(port: int, path: str, service: "subprocess.Popen[bytes]") -> int:
    """Status of the answer; waits until somebody answers at all."""
    deadline = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < deadline:
        assert service.poll() is None, f"gridmap up ended with {service.returncode}"
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            if error.code != 503:
                return error.code
        except OSError:
            pass
        time.sleep(0.1)
    raise AssertionError(f"{path}: no answer in {READY_WITHIN_S} s")


CHECKS: tuple[Callable[[], None], ...] = (
    imports_come_from_the_wheel,
    licence_and_classifier_are_inside,
    migrations_are_inside,
    pages_are_inside,
    command_line_answers,
    service_starts_answers_and_stops,
)


def main() -> None:
    """Runs the checks; exits 1 where one failed."""
    for name in [name for name in os.environ if name.startswith("GRIDMAP_") and name != "GRIDMAP_HOME"]:
        del os.environ[name]
    failed = 0
    for check in CHECKS:
        began = time.monotonic()
        try:
            check()
        except Exception:  # noqa: BLE001  whatever a check raises is its failure
            failed += 1
            print(f"FAILED  {check.__name__}")
            traceback.print_exc(file=sys.stdout)
        else:
            print(f"ok      {check.__name__} ({time.monotonic() - began:.1f} s)")
    print(f"{len(CHECKS) - failed} passed, {failed} failed")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
