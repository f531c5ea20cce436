"""Whose a place is, explained; searching areas, streets and events within one's areas."""

import pytest
import sqlalchemy as sa

from gridmap import locating
from gridmap.access import Principal, Role, Scope
from gridmap.events import CATEGORIES

WEST = Scope(("990126.990126001",))


@pytest.fixture(scope="module")
def made(shared_desk):
    return shared_desk.memory.snapshot


def located(desk, county, column, row, category="appeal"):
    lon, lat = county.at(column, row)
    return locating.locate(desk.memory.snapshot, desk.memory.roster, lon, lat, category, 50.0)


def codes(answer):
    return [code for _, code, _ in answer.why]


def test_the_answer_names_worker_border_and_neighbour(shared_desk, county):
    answer = located(shared_desk, county, 0.9, 0.5)
    assert (answer.method, answer.owner, answer.distance_m) == ("inside", county.micro(0, 0), 0.0)
    assert answer.worker is not None
    assert answer.unit is None
    assert codes(answer) == ["inside", "no_dedicated", "worker"]
    parameters = answer.why[0][2]
    assert parameters["neighbour"] == county.micro(1, 0)
    assert parameters["border_m"] == pytest.approx(0.1 * county.side * 111_320 * 0.866, rel=0.01)


def test_at_the_countys_edge_there_is_no_neighbour(shared_desk, county):
    answer = located(shared_desk, county, 0.1, 0.5)
    assert "neighbour" not in answer.why[0][2]
    assert answer.why[0][2]["border_m"] > 0


def test_in_a_dedicated_grid_it_is_said_and_the_absence_is_not(shared_desk, county):
    assert codes(located(shared_desk, county, 5.5, 2.5)) == ["inside", "dedicated", "worker"]


def test_on_a_border_and_outside(shared_desk, county):
    assert codes(located(shared_desk, county, 1, 0.5)) == ["border", "no_dedicated", "worker"]
    outside = located(shared_desk, county, 40, 40)
    assert (outside.method, outside.owner, outside.paths, codes(outside)) == (
        "none", None, (), ["outside", "nobody"],
    )  # fmt: skip


@pytest.mark.parametrize("category", CATEGORIES)
def test_the_assignee_is_whom_an_event_posted_there_would_get(shared_desk, county, category):
    answer = located(shared_desk, county, 6.5, 1.5, category)
    number = shared_desk.post(county.event(6.5, 1.5, category=category)).event
    row = shared_desk.one("SELECT worker, unit, paths_now::text[] FROM event WHERE id = :n", n=number)
    shared_desk.do("UPDATE event SET status = 'closed' WHERE id = :n", n=number)  # nobody is kept busy
    assert (answer.worker, answer.unit, list(answer.paths)) == tuple(row)


def found(made, words, scope=Scope(None), limit=100):  # noqa: B008  # an immutable value
    return [each["code"] for each in locating.search_areas(made, scope, words, limit)]


def test_search_exact_first_then_the_coarser(made, county):
    assert found(made, "990126001")[:4] == ["990126001", "990126001001", "990126001002", "990126001001001"]
    assert found(made, "PRECINCT") == ["990126P1", "990126P2"]
    assert found(made, "990126p1") == ["990126P1"]
    assert found(made, "0126001") == [code for code in found(made, "0126001") if "0126001" in code]
    assert len(found(made, "micro", limit=3)) == 3
    assert found(made, "unheard of") == []
    result = locating.area_result(made, made.row[county.micro(0, 0)])
    assert result["path_names"] == [
        made.name[row] for row in made.ancestors(made.row[county.micro(0, 0)])[:-1]
    ]
    assert result["bbox"] == pytest.approx([*county.at(0, 0), *county.at(1, 1)])


def test_search_stays_within_ones_areas(made):
    everything, mine = found(made, "990126"), found(made, "990126", WEST)
    assert mine == [code for code in everything if made.path[made.row[code]].startswith("990126.990126001")]
    assert found(made, "990126", Scope(())) == []


@pytest.mark.parametrize("words", ["%", "_", "!", "%_", "a%b", "\\", "'"])
def test_streets_are_found_by_the_letters_given(shared_desk, made, words):
    """What means something to LIKE is a letter like any other."""
    with shared_desk.database.writer() as session:
        for name in ("人民路", f"x{words}y"):
            session.execute(
                sa.text(
                    "INSERT INTO street (name, geom) VALUES (:name,"
                    " ST_GeomFromText('MULTILINESTRING((112.0001 30.0001, 112.0003 30.0003))', 4326))"
                ),
                {"name": name},
            )
        names = [each["name"] for each in locating.search_streets(session, made, Scope(None), words, 10)]
        assert names == [f"x{words}y"]
        assert len(locating.search_streets(session, made, WEST, words, 10)) == 1
        east = Scope(("990126.990126002",))
        assert locating.search_streets(session, made, east, words, 10) == []
        assert locating.search_streets(session, made, Scope(()), words, 10) == []
        session.rollback()


@pytest.mark.parametrize("words", ["", "0", "-1", "1e3", "１２", "9" * 17, "9" * 30, "x" * 300, "a'b"])
def test_any_words_may_be_searched_among_events(shared_desk, words):
    somebody = Principal("x", "X", (Role("dispatcher", "*"),))
    with shared_desk.database.reader() as session:
        assert locating.search_events(session, somebody, words, 5) == []
