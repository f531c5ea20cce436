"""Running pg_dump and pg_restore: no password on a command line, progress and trouble from their own words."""

import contextlib
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from gridmap.backup_sums import Progress
from gridmap.cluster.programs import find_programs
from gridmap.errors import NotPossible

_STEPS = {
    "dumping contents of table": "saving",
    "processing data for table": "loading",
    "creating INDEX": "index",
}
_STEP = re.compile(rf"({'|'.join(_STEPS)}) \"?([^\"\n]+)\"?")
_CAUSE = re.compile(r"(?:error|FATAL|ERROR):\s*(.+)")


@dataclass(frozen=True)
class Server:
    """A database to read or to fill.

    Attributes:
        url: of a role that may read or make everything in it.
        program: full path of a PostgreSQL program by its name.
    """

    url: str
    program: Callable[[str], str]


def any_program(name: str) -> str:
    """A program for a server that is not ours: the newest here.

    Raises:
        NotPossible: there is none.
    """
    with contextlib.suppress(NotPossible):
        return find_programs().path(name)
    found = shutil.which(name)
    if found is None:
        raise NotPossible(
            f"{name} is missing here: apt-get install postgresql-client", code="postgres_missing"
        )
    return found


class Failed(Exception):  # noqa: N818  # a signal between modules, made a sentence by its caller
    """A program failed; its own first words of why."""


@contextlib.contextmanager
def running(
    server: Server, name: str, options: Sequence[str], progress: Progress, *, feed: bool = False
) -> Iterator[IO[bytes]]:
    """A program at work on the server's database: its output, or with `feed` its input.

    Raises:
        Failed: it did not end well.
    """
    parts = conninfo_to_dict(server.url)
    password = parts.pop("password", None)
    environment = {key: value for key, value in os.environ.items() if key != "PGOPTIONS"} | {"LC_ALL": "C"}
    if password:
        environment["PGPASSWORD"] = str(password)  # others may read command lines
    argv = [
        server.program(name),
        *options,
        "--no-password",
        "--verbose",
        f"--dbname={make_conninfo('', **parts)}",
    ]
    words: list[str] = []
    with subprocess.Popen(  # noqa: S603  # a program found by us, options of ours
        argv,
        stdin=subprocess.PIPE if feed else subprocess.DEVNULL,
        stdout=subprocess.DEVNULL if feed else subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        start_new_session=True,  # Ctrl-C ends us, and we end it
    ) as process:
        listener = threading.Thread(target=_listen, args=(process.stderr, words, progress))
        listener.start()
        try:
            pipe = process.stdin if feed else process.stdout
            assert pipe is not None  # noqa: S101  # as asked for above
            with contextlib.suppress(BrokenPipeError):  # it failed; why is in its words
                yield pipe
                pipe.close()
        except BaseException:
            process.kill()
            raise
        finally:
            status = process.wait()
            listener.join()
    if status != 0:
        raise Failed(_cause(words) or f"{name} ended with {status}")


def listed(program: str, dump: IO[bytes]) -> list[str]:
    """The lines of a dump's table of contents.

    Raises:
        Failed: pg_restore cannot read it.
    """
    with subprocess.Popen(  # noqa: S603  # a program found by us
        [program, "--list"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        pipe, process.stdin = process.stdin, None  # else communicate would write to it too

        def feed() -> None:
            # It stops reading after the table of contents.
            with contextlib.suppress(BrokenPipeError), pipe or contextlib.nullcontext():
                shutil.copyfileobj(dump, pipe)  # type: ignore[arg-type]  # a pipe was asked for

        feeder = threading.Thread(target=feed)
        feeder.start()
        output, said = process.communicate()
        feeder.join()
    if process.returncode != 0:
        raise Failed(_cause(said.decode(errors="replace").splitlines()) or "pg_restore cannot read it")
    return output.decode().splitlines()


def write_list(lines: Sequence[str], folder: Path) -> Path:
    """A list for pg_restore's --use-list."""
    path = folder / "contents.list"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _listen(stream: IO[bytes] | None, words: list[str], progress: Progress) -> None:
    for raw in stream or ():
        line = raw.decode(errors="replace").rstrip()
        if found := _STEP.search(line):
            progress(f"{_STEPS[found.group(1)]} {found.group(2).removeprefix('public.')}")
        elif _CAUSE.search(line):
            words.append(line)


def _cause(words: Sequence[str]) -> str | None:
    # The first; what follows may show rows, and these speak of people.
    return next((found.group(1) for line in words if (found := _CAUSE.search(line))), None)
