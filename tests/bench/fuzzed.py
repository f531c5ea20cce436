"""A process of its own for what native code reads: a driver that crashes on a file must not take the tests with it.

`python -m tests.bench.fuzzed [DATABASE_URL HOME]` reads lines `{"way": …, "path": …}` and answers each with
`{"verdict": "read" | "refused" | "finding", "detail": …}`.
"""

import json
import os
import resource
import signal
import sys
import traceback
from pathlib import Path

MOST_BYTES = 1 << 30  # of memory that a file of some kilobytes may take
TABLES = (
    "edition", "area", "area_code", "building", "street", "worker", "unit", "service_area", "shift", "event",
    "event_key", "event_text", "event_history", "change_log", "audit", "account",
)  # fmt: skip
Verdict = tuple[str, str]


def told(error: BaseException) -> Verdict:
    """What an exception amounts to: a refusal that a person can read, or a finding."""
    from gridmap.errors import GridmapError

    if isinstance(error, GridmapError) and error.message.strip():
        return "refused", f"{error.code}: {error.message[:200]}"
    last = traceback.extract_tb(error.__traceback__)[-3:]
    where = " < ".join(f"{Path(each.filename).name}:{each.lineno}" for each in reversed(last))
    return "finding", f"{type(error).__name__}: {str(error)[:200]} ({where})"


def read(path: Path) -> Verdict:
    """Opens a file and goes through all of it."""
    from boundaries.fields import map_fields
    from boundaries.places import system_of
    from boundaries.read import open_source

    try:
        source = open_source(path)
        for chunk in source.chunks(source.columns):
            len(chunk.rows)
        if source.has_geometry:
            system_of(source, None, map_fields("areas", source.columns, {}, {}, file=path.name))
    except Exception as error:  # noqa: BLE001  # what it is, is the question
        return told(error)
    return "read", ""


def restore(path: Path) -> Verdict:
    """Reads a backup as far as `gridmap db restore` reads it before it touches a home."""
    from gridmap.backup import require_known
    from gridmap.backup_file import opened

    try:
        with opened(path) as archive:
            require_known(archive.manifest)
            archive.check()
            _ = archive.secret
    except Exception as error:  # noqa: BLE001  # as above
        return told(error)
    return "read", ""


def attach(path: Path) -> Verdict:
    """Makes a file ready to be attached, a picture in this very process; what is kept tells nothing more."""
    from gridmap.attachment_kinds import kind_of
    from gridmap.picture_cleaning import Refused, cleaned
    from gridmap.pictures import KINDS, MOST_PIXELS
    from tests.bench.pictured import SECRET

    content = path.read_bytes()
    try:
        kind = kind_of(content)
        kept = cleaned(content, KINDS[kind], MOST_PIXELS, 20 << 20) if kind in KINDS else b""
    except Refused as refused:
        return "refused", str(refused)
    except Exception as error:  # noqa: BLE001  # as above
        return told(error)
    return ("finding", "metadata was kept") if SECRET.encode() in kept else ("read", "")


def die(_: Path) -> Verdict:
    """As a driver does that writes where it may not: for the test of the trial itself."""
    os.kill(os.getpid(), signal.SIGSEGV)
    return "read", ""


class Loader:
    """The command on a database of its own, and what it left there."""

    def __init__(self, url: str, home: str) -> None:
        import psycopg

        self._connection = psycopg.connect(url, autocommit=True)
        self._environment = {
            "GRIDMAP_DATABASE_URL": url,
            "GRIDMAP_HOME": home,
            "GRIDMAP_SECRET_KEY": "a secret for tests only",
        }

    def _counts(self) -> list[int]:
        statement = " UNION ALL ".join(f"SELECT count(*) FROM {name}" for name in TABLES)
        return [row[0] for row in self._connection.execute(statement)]

    def __call__(self, noun: str, path: Path) -> Verdict:
        """`gridmap load NOUN PATH --commit`: stored as a whole, or refused in words with nothing stored."""
        from click.testing import CliRunner

        from api.cli import main

        before = self._counts()
        words = ["load", noun, str(path), "--commit", "--time-zone", "Asia/Shanghai"]
        result = CliRunner().invoke(main, words, env=self._environment)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            return (
                told(result.exception)
                if not _refused(result.exception)
                else self._kept(before, result.output)
            )
        if result.exit_code == 0:
            return "read", ""
        return self._kept(before, result.output)

    def _kept(self, before: list[int], said: str) -> Verdict:
        changed = [name for name, was, now in zip(TABLES, before, self._counts(), strict=True) if was != now]
        if changed:
            return "finding", f"refused, and {', '.join(changed)} changed"
        if not said.strip() or "Traceback" in said:
            return "finding", f"refused without a word: {said[-200:]!r}"
        return "refused", said.strip().splitlines()[-1][:200]


def _refused(error: BaseException) -> bool:
    return told(error)[0] == "refused"


def _most_used() -> int:
    """Bytes; not ru_maxrss, which a process inherits from the one that started it."""
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM"))


def main() -> None:
    """Answers line by line until there are no more."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (12 << 30, 12 << 30))  # the machine's memory is not at stake
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a driver prints is no answer
    loader = Loader(*sys.argv[1:3]) if len(sys.argv) > 2 else None
    ways = {"read": read, "restore": restore, "attach": attach, "die": die}
    peak = 0
    for line in sys.stdin:
        asked = json.loads(line)
        path = Path(asked["path"])
        if asked["way"] in ways:
            verdict, detail = ways[asked["way"]](path)
        else:
            assert loader is not None
            verdict, detail = loader(asked["way"], path)
        used = _most_used()
        if used > max(peak, MOST_BYTES):
            verdict, detail = "finding", f"took {used >> 20} MB of memory; {verdict} {detail}"
        peak = max(peak, used)
        out.write(json.dumps({"verdict": verdict, "detail": detail}) + "\n")
        out.flush()


if __name__ == "__main__":
    main()
