"""Heat against counting by hand: all events read, each looked at in Python."""

import datetime as dt
import json
from collections import Counter
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from gridmap import snapshot as snapshots
from gridmap.access import Scope
from gridmap.areas import AreaDraft, import_areas
from gridmap.errors import InvalidInput, NotFound
from gridmap.withholding import Audience
from layers.heat import HeatQuery, heat

ZONE = ZoneInfo("Asia/Shanghai")
YEAR = {"since": dt.datetime(2026, 1, 1, tzinfo=ZONE), "until": dt.datetime(2027, 1, 1, tzinfo=ZONE)}
LAST = {"since": dt.datetime(2025, 1, 1, tzinfo=ZONE), "until": dt.datetime(2026, 1, 1, tzinfo=ZONE)}
DELICATE = {"domestic_violence", "minor", "sexual", "crisis"}


def rows(session):
    return session.execute(
        sa.text(
            "SELECT id, category, subcategory, occurred_at, owner_now, leaf_now, paths_now::text[] AS paths, cell"
            " FROM event"
        )
    ).all()


def by_hand(session, snapshot, kind, *, since, until, scope=None, categories=(), delicate=True):
    """Numbers by code of a kind."""
    found = Counter()
    for row in rows(session):
        if not since <= row.occurred_at < until or (categories and row.category not in categories):
            continue
        if scope is not None and not scope.holds_any(row.paths):
            continue
        if not delicate and row.subcategory in DELICATE:
            continue
        if kind == "dedicated":
            codes = [row.owner_now]
        elif kind == "precinct":
            codes = [path.split(".")[-1] for path in row.paths]
        else:
            codes = snapshot.path[snapshot.row[row.leaf_now]].split(".") if row.leaf_now else []
        found.update(
            code for code in codes if code in snapshot.row and snapshot.kind[snapshot.row[code]] == kind
        )
    return found


def as_dict(answer):
    return dict(zip(answer.code.tolist(), answer.count.tolist(), strict=True))


@pytest.mark.parametrize(
    "kind", ["county", "town", "village", "comprehensive", "micro", "dedicated", "precinct"]
)
@pytest.mark.parametrize("categories", [(), ("police_case", "appeal")])
def test_counts_are_those_of_counting_by_hand(city, reading, everything, kind, categories):
    answer = heat(reading, city.snapshot, HeatQuery(kind=kind, categories=categories, **YEAR), everything)
    expected = by_hand(reading, city.snapshot, kind, categories=categories, **YEAR)
    assert sum(expected.values()) > 5
    assert set(answer.code) == {city.snapshot.code[row] for row in city.snapshot.rows_of(kind)}
    assert as_dict(answer) == {code: expected[code] for code in answer.code}
    assert not answer.withheld.any()
    assert answer.withhold_below is None


def test_a_grid_without_an_event_is_listed_with_zero(city, reading, everything):
    answer = heat(reading, city.snapshot, HeatQuery(**YEAR), everything)
    assert 0 in answer.count
    assert len(answer) == 32


def test_whoever_is_bound_to_a_town_sees_that_town_counted_and_nothing_else(city, reading, audience):
    town = audience("dispatcher", "990126001", "990126.990126001")
    for kind in ("micro", "village", "town"):
        answer = heat(reading, city.snapshot, HeatQuery(kind=kind, **YEAR), town)
        expected = by_hand(reading, city.snapshot, kind, scope=Scope(("990126.990126001",)), **YEAR)
        assert all(code.startswith("990126001") for code in answer.code)
        assert as_dict(answer) == {code: expected[code] for code in answer.code}
    assert len(heat(reading, city.snapshot, HeatQuery(kind="county", **YEAR), town)) == 0
    with pytest.raises(NotFound):
        heat(reading, city.snapshot, HeatQuery(area="990126002", **YEAR), town)


def test_whose_scope_is_a_precinct_sees_no_grid_but_the_hexagons_of_the_precinct(city, reading, audience):
    station = audience("dispatcher", "990126P2", "990126.990126P2")
    assert len(heat(reading, city.snapshot, HeatQuery(**YEAR), station)) == 0
    answer = heat(reading, city.snapshot, HeatQuery(kind="precinct", **YEAR), station)
    held = by_hand(reading, city.snapshot, "precinct", **YEAR)
    assert as_dict(answer) == {"990126P2": held["990126P2"]}
    hexagons = heat(reading, city.snapshot, HeatQuery(by="hex", res=9, **YEAR), station)
    assert hexagons.count.sum() == held["990126P2"] > 0


def test_nobody_without_the_right_to_counts_sees_any(city, reading, audience):
    for kind in ("micro", "precinct", "dedicated"):
        assert len(heat(reading, city.snapshot, HeatQuery(kind=kind, **YEAR), audience("source"))) == 0
    assert len(heat(reading, city.snapshot, HeatQuery(by="hex", **YEAR), audience("source"))) == 0


def test_a_county_scope_counts_as_everybody_but_for_what_lies_outside(city, reading, audience, everything):
    whole = heat(reading, city.snapshot, HeatQuery(**YEAR), everything)
    county = heat(reading, city.snapshot, HeatQuery(**YEAR), audience("dispatcher", "990126", "990126"))
    assert as_dict(whole) == as_dict(county)
    cells = heat(reading, city.snapshot, HeatQuery(by="hex", **YEAR), everything).count.sum()
    inside = heat(
        reading, city.snapshot, HeatQuery(by="hex", **YEAR), audience("dispatcher", "990126", "990126")
    )
    outside = sum(
        row.cell is not None and not row.paths and YEAR["since"] <= row.occurred_at for row in rows(reading)
    )
    assert outside > 0
    assert cells - inside.count.sum() == outside


def test_an_area_narrows_the_list_and_changes_no_number(city, reading, everything, audience):
    for who in (everything, audience("commander"), audience("worker")):
        whole = heat(reading, city.snapshot, HeatQuery(**YEAR), who)
        part = heat(reading, city.snapshot, HeatQuery(area="990126001002", **YEAR), who)
        assert set(part.code) == {code for code in whole.code if code.startswith("990126001002")}
        same = [code in set(part.code) for code in whole.code]
        assert part.count.tolist() == whole.count[same].tolist()
        assert part.withheld.tolist() == whole.withheld[same].tolist()


def test_one_grid_alone_can_be_asked_for(city, reading, everything):
    answer = heat(reading, city.snapshot, HeatQuery(area="99012600100100102", **YEAR), everything)
    assert answer.code.tolist() == ["99012600100100102"]


def test_rates_are_per_hundred_households_and_null_where_nobody_lives(city, reading, everything):
    answer = heat(reading, city.snapshot, HeatQuery(measure="per_100_households", **YEAR), everything)
    features = [
        feature["properties"] for feature in json.loads(answer.to_geojson(geometry=False))["features"]
    ]
    for one in features:
        if one["households"] == 0:
            assert one["value"] is None
        else:
            assert one["value"] == pytest.approx(100 * one["count"] / one["households"])
    assert any(one["households"] == 0 for one in features)
    assert answer.unit == "events per 100 households"


def test_change_compares_with_the_same_days_a_year_before(city, reading, everything):
    answer = heat(reading, city.snapshot, HeatQuery(kind="village", measure="change", **YEAR), everything)
    now = by_hand(reading, city.snapshot, "village", **YEAR)
    before = by_hand(reading, city.snapshot, "village", **LAST)
    for code, value, earlier in zip(answer.code, answer.value.tolist(), answer.before.tolist(), strict=True):
        assert earlier == before[code]
        if min(now[code], before[code]) < 3:
            assert value != value  # noqa: PLR0124  # too few to compare
        else:
            assert value == pytest.approx(100 * (now[code] - before[code]) / before[code])
    assert answer.breaks == [-60, -30, -10, 10, 30, 60]


def test_previous_compares_with_the_period_right_before(city, reading, everything):
    half = {"since": dt.datetime(2026, 7, 1, tzinfo=ZONE), "until": dt.datetime(2026, 11, 1, tzinfo=ZONE)}
    query = HeatQuery(kind="town", measure="change", compare="previous", **half)
    earlier = {"since": half["since"] - (half["until"] - half["since"]), "until": half["since"]}
    answer = heat(reading, city.snapshot, query, everything)
    assert answer.before.tolist() == [
        by_hand(reading, city.snapshot, "town", **earlier)[c] for c in answer.code
    ]


def test_sensitive_sub_categories_are_counted_below_towns_for_handlers_alone(city, reading, audience):
    admin, handler = audience("admin"), audience("dispatcher")
    for kind, delicate in (
        ("micro", False),
        ("village", False),
        ("town", True),
        ("county", True),
        ("precinct", True),
    ):
        expected = by_hand(reading, city.snapshot, kind, delicate=delicate, **YEAR)
        answer = heat(reading, city.snapshot, HeatQuery(kind=kind, **YEAR), admin)
        assert as_dict(answer) == {code: expected[code] for code in answer.code}, kind
        open_ = by_hand(reading, city.snapshot, kind, **YEAR)
        assert as_dict(heat(reading, city.snapshot, HeatQuery(kind=kind, **YEAR), handler)) == {
            code: open_[code] for code in answer.code
        }
    hexagons = heat(reading, city.snapshot, HeatQuery(by="hex", **YEAR), admin).count.sum()
    assert heat(reading, city.snapshot, HeatQuery(by="hex", **YEAR), handler).count.sum() > hexagons
    asked = HeatQuery(subcategories=("domestic_violence",), **YEAR)
    assert heat(reading, city.snapshot, asked, admin).count.sum() == 0
    assert heat(reading, city.snapshot, asked, handler).count.sum() > 0


def test_the_last_twelve_months_are_meant_where_no_period_is_said(city, reading, everything):
    now = dt.datetime.now(dt.UTC)
    answer = heat(reading, city.snapshot, HeatQuery(kind="county"), everything)
    assert abs(answer.period.until - now) < dt.timedelta(minutes=1)
    assert answer.period.since == answer.period.until.replace(year=answer.period.until.year - 1)


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"by": "square"}, "bad_heat_query"),
        ({"kind": "block"}, "bad_heat_query"),
        ({"measure": "wishes"}, "bad_heat_query"),
        ({"by": "hex", "measure": "per_100_households"}, "bad_heat_query"),
        ({"boundaries": "tomorrow"}, "bad_heat_query"),
        ({"classes": "magic"}, "bad_heat_query"),
        ({"categories": ("dispute", "'; DROP TABLE event")}, "unknown_category"),
        ({"by": "hex", "res": 15}, "bad_resolution"),
        (
            {"since": dt.datetime(2026, 1, 2, tzinfo=ZONE), "until": dt.datetime(2026, 1, 1, tzinfo=ZONE)},
            "bad_period",
        ),
        ({"since": dt.datetime(2026, 1, 2)}, "bad_time"),  # noqa: DTZ001  # the point of it
    ],
)
def test_an_impossible_question_says_what_is_possible(city, reading, everything, said, code):
    with pytest.raises(InvalidInput) as refused:
        heat(reading, city.snapshot, HeatQuery(**said), everything)
    assert refused.value.code == code


def test_geojson_carries_full_precision_and_what_holds_for_all(city, reading, everything):
    answer = heat(reading, city.snapshot, HeatQuery(kind="village", **YEAR), everything)
    document = json.loads(answer.to_geojson(following="/api/heat?cursor=x"))
    assert document["type"] == "FeatureCollection"
    assert document["next"] == "/api/heat?cursor=x"
    assert {"breaks", "measure", "unit", "withhold_below", "edition"} <= document.keys()
    feature = document["features"][0]
    row = city.snapshot.row[feature["properties"]["code"]]
    corner = feature["geometry"]["coordinates"][0][0][0]
    assert tuple(corner) in list(city.snapshot.geom[row].geoms[0].exterior.coords)
    assert feature["properties"]["name"] == city.snapshot.name[row]
    moved = json.loads(answer.to_geojson(crs="gcj02"))["features"][0]["geometry"]["coordinates"][0][0][0]
    assert 0.001 < abs(moved[0] - corner[0]) < 0.01
    bare = json.loads(answer.to_geojson(geometry=False, part=slice(1, 3)))["features"]
    assert [one["geometry"] for one in bare] == [None, None]
    assert [one["properties"]["code"] for one in bare] == answer.code[1:3].tolist()


def test_a_known_cluster_is_hot_and_a_quiet_corner_is_not(city, reading, everything):
    answer = heat(reading, city.snapshot, HeatQuery(measure="hotspot", **YEAR), everything)
    document = json.loads(answer.to_geojson(geometry=False))
    by_code = {one["properties"]["code"]: one["properties"] for one in document["features"]}
    hottest = max((one for one in by_code.values() if one["z"] is not None), key=lambda one: one["z"])
    coldest = min((one for one in by_code.values() if one["z"] is not None), key=lambda one: one["z"])
    assert hottest["code"].startswith("990126001")  # the events gather in the west
    assert hottest["z"] > 1.64 > hottest["p"]
    assert coldest["code"].startswith("990126002")
    assert hottest["value"] == hottest["z"]


def test_then_counts_where_it_was_and_lists_what_no_longer_lives(city, everything):
    query = {"kind": "micro", **YEAR}
    with city.database.writer() as session:
        before = as_dict(heat(session, city.snapshot, HeatQuery(**query), everything))
        # A micro-grid moves to the other comprehensive grid of its village.
        moved = "99012600100100102"
        number = city.snapshot.row[moved]
        redrawn = AreaDraft(
            kind="micro", code=moved, name="moved", parent="990126001001002", geom=city.snapshot.geom[number]
        )
        import_areas(session, [redrawn], actor="test", settings=city.settings)
        today = snapshots.load(session, 2)
        then = heat(session, today, HeatQuery(boundaries="then", **query), everything)
        assert as_dict(then) == before
        parents = HeatQuery(kind="comprehensive", **YEAR)
        was = as_dict(heat(session, city.snapshot, parents, everything))
        now_ = as_dict(heat(session, today, parents, everything))
        back = as_dict(
            heat(session, today, HeatQuery(kind="comprehensive", boundaries="then", **YEAR), everything)
        )
        assert back == was
        assert now_["990126001001002"] == was["990126001001002"] + before[moved]
        # It is retired, as a publication would.
        session.execute(
            sa.text(
                "INSERT INTO edition (id, in_force_from, published_by, areas_changed)"
                " VALUES (3, clock_timestamp(), 'test', 1)"
            )
        )
        session.execute(
            sa.text("UPDATE area SET edition_to = 3 WHERE code = :code AND edition_to IS NULL"),
            {"code": moved},
        )
        session.execute(
            sa.text("UPDATE event SET leaf_now = '990126001001002' WHERE leaf_now = :code"), {"code": moved}
        )
        without = snapshots.load(session, 3)
        listed = heat(session, without, HeatQuery(boundaries="then", **query), everything)
        assert as_dict(listed) == before
        feature = next(
            one for one in json.loads(listed.to_geojson())["features"] if one["properties"]["code"] == moved
        )
        assert feature["properties"]["retired"] == 2
        assert feature["geometry"]["type"] == "MultiPolygon"
        assert moved not in as_dict(heat(session, without, HeatQuery(**query), everything))
        session.rollback()


def test_an_answer_takes_few_statements(city, reading, everything, audience):
    seen = []

    def listen(*arguments):
        seen.append(arguments[2])

    sa.event.listen(city.database.engine, "before_cursor_execute", listen)
    heat(reading, city.snapshot, HeatQuery(**YEAR), everything)
    assert len(seen) == 1 + 1  # how to plan, and the counting
    heat(reading, city.snapshot, HeatQuery(**YEAR), audience("commander"))
    assert len(seen) == 2 + 4, seen  # what is sensitive, and these counted apart
    sa.event.remove(city.database.engine, "before_cursor_execute", listen)


def test_events_counted_by_leaf_carry_the_leaf_in_their_paths(city, reading):
    # layers.counting leans on it: the condition by finest area lets nothing through that paths would not.
    for row in rows(reading):
        if row.leaf_now:
            path = city.snapshot.path[city.snapshot.row[row.leaf_now]]
            assert any(each == path or each.startswith(f"{path}.") for each in row.paths)


def test_an_audience_is_what_the_roles_say(somebody):
    who = Audience.of(somebody("commander", "990126", "990126"), 3)
    assert (who.counts, who.exact, who.exact_villages) == (Scope(("990126",)), Scope(()), Scope(("990126",)))


@pytest.mark.parametrize("measure", ["count", "per_100_households", "change", "hotspot"])
@pytest.mark.parametrize("boundaries", ["today", "then"])
def test_kinds_that_nobody_loaded_and_a_service_without_areas_answer_with_nothing(
    city, reading, everything, audience, measure, boundaries
):
    for who in (everything, audience("commander"), audience("worker", "990126", "990126")):
        for kind in ("court", "province", "dedicated", "micro"):
            query = HeatQuery(kind=kind, measure=measure, boundaries=boundaries, **YEAR)
            if kind in {"court", "province"}:
                assert len(heat(reading, city.snapshot, query, who)) == 0
            nothing = heat(reading, snapshots.empty(), query, who)
            if boundaries == "today":
                assert json.loads(nothing.to_geojson())["features"] == []


def test_hexagons_need_no_areas(reading, everything, audience):
    query = HeatQuery(by="hex", **YEAR)
    assert heat(reading, snapshots.empty(), query, everything).count.sum() > 0
    assert len(heat(reading, snapshots.empty(), query, audience("commander"))) >= 0
