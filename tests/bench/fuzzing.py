"""Malformed input at every parser, each with a time limit: read, refused, or what should not have happened."""

import collections
import contextlib
import datetime as dt
import json
import random
import select
import signal
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from tests.bench import malformed, pictured
from tests.bench.fuzzed import Verdict, told

ROOT = Path(__file__).parents[2]
LIMIT_S = 20.0  # for one file; a busy machine is slow
TEXT_LIMIT_S = 5.0


@dataclass
class Tally:
    """Verdicts by parser, and the findings with what shows them."""

    verdicts: dict[str, collections.Counter[str]] = field(default_factory=dict)
    findings: list[tuple[str, str, str]] = field(default_factory=list)

    def add(self, parser: str, verdict: Verdict, shown: object) -> None:
        self.verdicts.setdefault(parser, collections.Counter())[verdict[0]] += 1
        if verdict[0] == "finding":
            self.findings.append((parser, verdict[1], str(shown)[:300]))

    @property
    def inputs(self) -> int:
        return sum(sum(each.values()) for each in self.verdicts.values())

    def lines(self) -> Iterator[str]:
        for parser, counts in sorted(self.verdicts.items()):
            yield f"{parser:24} {sum(counts.values()):6}  read {counts['read']:6}  refused {counts['refused']:6}"
        told_ = collections.Counter((parser, detail) for parser, detail, _ in self.findings)
        for (parser, detail), number in told_.most_common():
            shown = next(each[2] for each in self.findings if each[:2] == (parser, detail))
            yield f"FINDING {parser} ×{number}: {detail}\n        {shown}"


class Child:
    """A process that reads files, made anew where one of them ends it or keeps it busy for too long."""

    def __init__(self, *arguments: str) -> None:
        self._arguments = arguments
        self._process: subprocess.Popen[str] | None = None

    def __call__(self, way: str, path: Path) -> Verdict:
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.bench.fuzzed", *self._arguments],
                cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            )  # fmt: skip
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps({"way": way, "path": str(path)}) + "\n")
        process.stdin.flush()
        ready, _, _ = select.select([process.stdout], [], [], LIMIT_S)
        line = process.stdout.readline() if ready else ""
        if line:
            answer = json.loads(line)
            return answer["verdict"], answer["detail"]
        if not ready:
            self.close()
            return "finding", f"took longer than {LIMIT_S:.0f} s"
        code = process.wait()
        self.close()
        return "finding", f"ended the process: {signal.Signals(-code).name if code < 0 else code}"

    def close(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    with contextlib.suppress(BrokenPipeError):
                        stream.close()


def files(rng: random.Random, each: int, tally: Tally, *, bombs: bool = True) -> None:
    """Reads spoilt files of every kind, and those that were made on purpose."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        seeds = malformed.seed_files(folder)
        child = Child()
        made = malformed.crafted(seeds) | (malformed.bombs(seeds) if bombs else {})
        for called, content in made.items():
            path = folder / called
            path.write_bytes(content)
            tally.add("crafted files", child("read", path), called)
        for ending, good in seeds.items():
            path = folder / f"spoilt.{ending.replace('shp.', '')}"
            for number in range(each):
                content = malformed.spoilt(rng, good)
                path.write_bytes(content)
                tally.add(f"{ending} file", child("read", path), _kept(path, number))
        parts = {path.suffix: path.read_bytes() for path in folder.glob("part.*")}
        for number in range(each):
            suffix = rng.choice([".shp", ".dbf", ".shx", ".cpg", ".prj"])
            path = folder / "part.shp"
            (folder / f"part{suffix}").write_bytes(malformed.spoilt(rng, parts[suffix]))
            tally.add("shp with its parts", child("read", path), _kept(folder / f"part{suffix}", number))
            (folder / f"part{suffix}").write_bytes(parts[suffix])
        for number in range(each):
            path = folder / "made.geojson"
            path.write_bytes(malformed.geojson(rng))
            tally.add("geojson geometry", child("read", path), _kept(path, number))
        child.close()


def _kept(path: Path, number: int) -> str:
    return f"{path.name} {number}: {path.read_bytes()[:80]!r}"


def loads(rng: random.Random, each: int, tally: Tally, database: tuple[str, str]) -> None:
    """Loads spoilt files into a database by the command: what is refused leaves nothing."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        seeds = malformed.seed_files(folder)
        child = Child(*database)
        for noun in ("areas", "buildings", "streets", "workers", "events"):
            for number in range(each):
                ending = rng.choice(sorted(seeds))
                path = folder / f"spoilt.{ending.replace('shp.', '')}"
                path.write_bytes(malformed.spoilt(rng, seeds[ending]))
                tally.add(f"load {noun}", child(noun, path), _kept(path, number))
                rows = folder / "made.csv"
                rows.write_bytes(_table(rng, ROWS[noun]))
                tally.add(f"load {noun}", child(noun, rows), rows.read_text("utf-8", "replace")[:300])
        child.close()


# A good table of every noun; cells are separated by tabs, since shapes have commas.
ROWS = {
    "areas": "code\tkind\tname\tparent\twkt\n"
    "990126P7\tprecinct\t北所\t990126\tPOLYGON ((112 30, 112.016 30, 112.016 30.008, 112 30.008, 112 30))\n",
    "buildings": "code\tkind\thouseholds\tx\ty\nb1\tresidential\t60\t112.001\t30.001\n"
    "b2\tshop\t0\t112.003\t30.003\n",
    "streets": "code\tname\tclass\twkt\ns1\t西街\tmain\tLINESTRING (112 30, 112.01 30.001)\n",
    "workers": "code\tname\trole\tcapacity\tunit\tunit_name\tunit_kind\tareas\tshifts\n"
    "w1\t王\tmediator\t5\tu1\t中心\tcentre\t990126001;990126002\t1-5 08:00-18:00; 6 09:00-12:00\n",
    "events": "source\texternal_id\tcategory\toccurred_at\tx\ty\tgrid\taddress\ttitle\tcontact\tdue_at\tcount\n"
    "12345\te1\tdispute\t2026-08-24 13:51\t112.001\t30.001\t990126001001001\t一号楼\t噪声\t139\t2026-08-30\t2\n",
}  # fmt: skip
NASTY_CELLS = (
    *malformed.NASTY, "POINT (112 30)", "POLYGON EMPTY", "POLYGON ((112 30, 113 31, 112 31, 113 30, 112 30))",
    "POLYGON ((",
    "POLYGON ((112 30, 112 30, 112 30, 112 30))", "GEOMETRYCOLLECTION (POINT (1 2), LINESTRING (0 0, 1 1))",
    "LINESTRING (112 30, 112 30)", "POLYGON Z ((112 30 1, 113 30 nan, 113 31 inf, 112 30 1))", "SRID=4326;POINT (1 2)",
    "MULTIPOLYGON (((112 30, 1e308 30, 113 1e308, 112 30)))", "POINT (" + "9" * 400 + " 30)", "1-5 25:00-26:00",
    "0-9 08:00-18:00", "1-5 18:00-08:00", "7-1 08:00-18:00", "1-5", "990126001;;990126", "；".join(["990126001"] * 500),
)  # fmt: skip


def _table(rng: random.Random, good: str) -> bytes:
    """A readable table whose values are none."""
    head, *lines = good.splitlines()
    cells = [line.split("\t") for line in lines]
    for _ in range(rng.choice((1, 1, 2, 5))):
        row = rng.choice(cells)
        nasty = rng.choice(NASTY_CELLS)[:3000]
        row[rng.randrange(len(row))] = '"' + nasty.replace('"', '""') + '"'
    return "\n".join([head, *map("\t".join, cells)]).encode("utf-8", "surrogatepass")


def backups(rng: random.Random, each: int, tally: Tally, good: bytes) -> None:
    """Opens damaged backups."""
    with tempfile.TemporaryDirectory() as name:
        path, child = Path(name) / "backup.gmb", Child()
        for number in range(each):
            path.write_bytes(malformed.spoilt(rng, good))
            tally.add("backup", child("restore", path), _kept(path, number))
            path.write_bytes(good)
            with zipfile.ZipFile(path) as whole:
                manifest = json.loads(whole.read("manifest.json"))
                kept = {name: whole.read(name) for name in whole.namelist()}
            with zipfile.ZipFile(path, "w") as made:
                for part, content in {**kept, "manifest.json": malformed.json_value(rng, manifest)}.items():
                    made.writestr(part, content)
            tally.add("backup's manifest", child("restore", path), number)
        child.close()


def attachments(rng: random.Random, each: int, tally: Tally, *, bombs: bool = True) -> None:
    """Makes spoilt pictures and papers ready to be attached, and those that were made on purpose."""
    with tempfile.TemporaryDirectory() as name:
        path, child = Path(name) / "attachment", Child()
        for called, content in pictured.crafted().items() if bombs else ():
            path.write_bytes(content)
            tally.add("crafted attachments", child("attach", path), called)
        good = {kind: pictured.picture(kind, 6) for kind in ("jpeg", "png", "webp")} | {"pdf": pictured.PDF}
        for kind, content in good.items():
            for number in range(each):
                path.write_bytes(malformed.spoilt(rng, content))
                tally.add(f"{kind} attachment", child("attach", path), _kept(path, number))
        child.close()


@contextlib.contextmanager
def within(seconds: float) -> Iterator[None]:
    """Ends what takes longer; in the main thread alone."""

    def over(_: int, __: FrameType | None) -> None:
        raise TimeoutError(f"took longer than {seconds:g} s")

    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def texts(rng: random.Random, each: int, tally: Tally) -> None:
    """Gives every reader of short texts what it should refuse."""
    for parser, (read, seeds) in parsers().items():
        for _ in range(each):
            given = malformed.text(rng, seeds)
            tally.add(parser, _tried(read, given), repr(given))
    for _ in range(each):
        content = malformed.json_value(rng, EVENT)
        tally.add("event JSON", _tried(_event, content), content)
        content = malformed.wkb(rng)
        tally.add("WKB", _tried(_wkb, content), content.hex())


def _tried(read: Callable[[Any], object], given: object) -> Verdict:
    try:
        with within(TEXT_LIMIT_S):
            read(given)
    except Exception as error:  # noqa: BLE001  # what it is, is the question
        return told(error)
    return "read", ""


EVENT = {
    "source": "12345",
    "external_id": "20260824-000123",
    "category": "dispute",
    "occurred_at": "2026-08-24T13:51:00+08:00",
    "due_at": "2026-08-25T13:51:00+08:00",
    "lon": 112.0039,
    "lat": 30.001,
    "crs": "gcj02",
    "title": "楼上装修噪声引发口角",
    "accuracy_m": 20,
    "grid": "990126001001",
}


def _event(content: bytes) -> object:
    from pydantic import ValidationError

    from api import problems
    from api.schemas import EventIn

    try:
        return EventIn.model_validate_json(content).draft()
    except ValidationError as error:
        raise problems.invalid(error) from error


def _wkb(content: bytes) -> object:
    import pyarrow as pa

    from boundaries.arrow import shapes

    return shapes(pa.array([content], pa.binary()))


def parsers() -> dict[str, tuple[Callable[[Any], object], tuple[str, ...]]]:
    """Readers of texts from outside by name, each with good examples."""
    from zoneinfo import ZoneInfo

    from api import deps, shapes
    from api.tokens import Tokens
    from boundaries import fields, values
    from gridmap import crs
    from gridmap.codes import DEFAULT, Scheme
    from gridmap.periods import Period, moment

    zone = ZoneInfo("Asia/Shanghai")
    tokens = Tokens("for tests only")

    def period(text: str) -> object:
        since, _, until = text.partition("/")
        asked = Period.of(moment(since, "from", zone), moment(until, "to", zone), shapes.now())
        asked.year_before()
        asked.previous()
        return asked.days(zone)

    def system(text: str) -> object:
        return crs.convert(112.0, 30.0, "wgs84", crs.normalise(text))

    def cursor(text: str) -> object:
        for kinds in ((dt.datetime, int), (float, int), (str,)):
            with contextlib.suppress(shapes.InvalidInput):
                return shapes.read_cursor(text, kinds)
        return shapes.read_cursor(text, (int,))

    def cell(read: Callable[[Any], object]) -> Callable[[Any], object]:
        def reading(text: str) -> object:
            try:
                return read(text)
            except values.Refused as refused:
                raise shapes.InvalidInput(refused.message) from refused

        return reading

    moments = ("2026-08-24T13:51:00+08:00", "2026-08-24", "2026-08-24T00:00:00Z")
    marks = tuple(map(shapes.cursor, (["2026-08-24T13:51:00Z", 7], [1.5, 7], ["9901"], [7])))
    return {
        "code": (lambda text: (DEFAULT.check(text), DEFAULT.kind(text), DEFAULT.parse(text), DEFAULT.chain(text)),
                 ("990126", "990126001001", "99012600100100101", "990126001001901")),
        "code scheme": (Scheme.from_text, ("province:2,city:2,county:2,town:3@county:1-899", "a:1")),
        "reference system": (system, ("EPSG:4490", "gcj02", "wgs84", "EPSG:3857", "urn:ogc:def:crs:EPSG::4549")),
        "moment": (lambda text: moment(text, "at", zone), moments),
        "period": (period, ("2026-08-01/2026-09-01", "2025-08-24T13:51:00+08:00/", "/2026-01-01")),
        "cursor": (cursor, marks),
        "bbox": (lambda text: deps.bbox(text, "gcj02"), ("112,30,113,31", "-180,-90,180,90")),
        "bbox in metres": (lambda text: deps.bbox(text, "EPSG:3857"), ("12400000,3500000,12500000,3600000",)),
        "near": (lambda text: deps.near(text, "bd09"), ("112,30", "112.0001,30.0001")),
        "token": (tokens.read, (tokens.issue(1, 1), tokens.issue(1, 1, "machine"))),
        "language": (deps.preferred, ("zh-CN,zh;q=0.9,en;q=0.8", "en")),
        "field pairs": (lambda text: fields.parse_pairs([text], "--fields"), ("code=GEOID,name=NAME", r"a=b\,c")),
        "cell: moment": (cell(lambda text: values.read_moment(text, zone, zone)), (*moments, "2026年8月24日 9:05")),
        "cell: whole number": (cell(lambda text: values.read_whole(text, 0)), ("12", "12.0")),
        "cell: code": (cell(values.read_code), ("990126", "a_1")),
    }  # fmt: skip
