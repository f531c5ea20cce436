"""Malformed input at every parser of what comes from outside: a sample of what tests/bench/bench_fuzz.py tries.

Whatever is sent or read, it is taken or refused in words: no crash, nothing that takes for ever, nothing by half.
"""

import random

import pytest

from gridmap.backup import backup
from gridmap.backup_programs import Server, any_program
from tests.api.asking import ask
from tests.api.malforming import Malforming
from tests.api.permitting import made
from tests.bench import fuzzing
from tests.bench.fuzzing import Tally

SEED = 20260824


@pytest.fixture(scope="module")
def county(module_app):
    made(module_app)
    return module_app


@pytest.fixture
def tally():
    """Fails where something was neither read nor refused."""
    tally = Tally()
    yield tally
    assert tally.findings == [], "\n".join(tally.lines())
    assert all(each["refused"] for name, each in tally.verdicts.items() if name not in {"WKB", "language"})


@pytest.fixture
def rng():
    return random.Random(SEED)


def test_texts(rng, tally):
    fuzzing.texts(rng, 80, tally)
    assert tally.inputs > 1000


def test_files(rng, tally):
    fuzzing.files(rng, 6, tally, bombs=False)
    assert tally.inputs > 70


def test_attachments(rng, tally):
    fuzzing.attachments(rng, 12, tally)
    assert tally.inputs > 60


def test_files_loaded_into_a_database(county, rng, tally, tmp_path):
    fuzzing.loads(rng, 2, tally, (county.url, str(tmp_path)))
    assert tally.inputs == 20


def test_backups(county, rng, tally, tmp_path):
    good = tmp_path / "good.gmb"
    server = Server(county.url, any_program)
    backup(server, good, version="test", secret="a key", with_key=True, progress=lambda _: None)
    fuzzing.backups(rng, 20, tally, good.read_bytes())
    assert tally.inputs == 40


def test_requests(county, rng, tally):
    requests = Malforming(county, rng, tally)
    requests.queries(150)
    requests.bodies(120)
    requests.batches(50)
    requests.tokens(80)
    requests.attachments(8)
    assert tally.inputs == 416


@pytest.mark.parametrize(
    "path", ["/api/users?limit=2&x=", "/api/events?", "/api/locate?lon=112&lat=", "/?x=", "/login?next="]
)
def test_bytes_in_a_query_that_are_no_text(county, path):
    answer = ask(county.client, "GET", path.encode() + b"\xff\xfe", token=county.token("admin"))
    assert answer.status in {200, 303, 422}
    assert ask(county.client, "DELETE", path.encode() + b"\xff", token=county.token("admin")).status == 405


def test_a_driver_that_crashes_ends_its_own_process_alone(tmp_path, monkeypatch):
    """What the trial itself makes of a process that dies, or never answers."""
    child = fuzzing.Child()
    monkeypatch.setattr(fuzzing, "LIMIT_S", 0.0)
    (tmp_path / "a.csv").write_text("a,b")
    assert child("read", tmp_path / "a.csv") == ("finding", "took longer than 0 s")
    monkeypatch.setattr(fuzzing, "LIMIT_S", 60.0)
    assert child("die", tmp_path / "a.csv") == ("finding", "ended the process: SIGSEGV")
    assert child("read", tmp_path / "a.csv")[0] == "read"
    child.close()
