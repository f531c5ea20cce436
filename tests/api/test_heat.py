"""Heat, indicators, tiles and the folium page over HTTP."""

import re

import pytest

PERIOD = "from=2026-01-01&to=2027-01-01"


@pytest.fixture
def posted(app, event):
    """Five disputes in the first grid, one in the second, two police cases in the east."""
    caller = app.as_("dispatcher")
    bodies = [event(0, 0, external_id=f"a{n}") for n in range(5)] + [event(1, 0, external_id="b")]
    bodies += [event(6, 3, external_id=f"c{n}", category="police_case") for n in range(2)]
    for body in bodies:
        assert caller.post("/api/events", json=body).status_code == 201


def values(answer, key="count"):
    assert answer.status_code == 200, answer.text
    return {
        feature["properties"]["code"]: feature["properties"][key] for feature in answer.json()["features"]
    }


def test_heat_by_grid_lists_every_grid(app, posted):
    answer = app.as_("dispatcher").get(f"/api/heat?kind=micro&category=dispute&{PERIOD}")
    counts = values(answer)
    assert len(counts) == 32
    assert counts["99012600100100101"] == 5
    assert counts["99012600100100102"] == 1
    assert sum(counts.values()) == 6
    collection = answer.json()
    assert (collection["measure"], collection["unit"], collection["withhold_below"]) == (
        "count",
        "events",
        None,
    )
    assert collection["features"][0]["geometry"]["type"] == "MultiPolygon"


def test_rates_divide_by_households_and_are_null_where_nobody_lives(app, posted):
    answer = app.as_("dispatcher").get(
        f"/api/heat?kind=micro&measure=per_100_households&{PERIOD}&geometry=false"
    )
    rates = values(answer, "value")
    assert rates["99012600100100101"] == pytest.approx(100 * 5 / 60)
    assert rates["99012600200200204"] is None
    assert answer.json()["features"][0]["geometry"] is None


def test_small_counts_are_withheld_from_those_not_entitled(app, posted):
    answer = app.as_("commander").get(f"/api/heat?kind=micro&{PERIOD}")
    by_code = {feature["properties"]["code"]: feature["properties"] for feature in answer.json()["features"]}
    assert answer.json()["withhold_below"] == 3
    assert by_code["99012600100100101"]["count"] == 5
    for code in ("99012600100100102", "99012600100100103"):  # one event, and none: the same class
        hidden = by_code[code]
        assert (hidden["withheld"], hidden["count"], hidden["value"]) == (True, None, None)


def test_everybody_counts_their_areas_only(app, posted):
    counts = values(app.as_("east").get(f"/api/heat?kind=micro&{PERIOD}"))
    assert len(counts) == 16
    assert sum(counts.values()) == 2
    assert app.as_("west").get("/api/heat?area=990126002").status_code == 404
    assert app.as_("hotline").get("/api/heat").status_code == 403


def test_hexagons_hold_all_located_events(app, posted):
    answer = app.as_("dispatcher").get(f"/api/heat?by=hex&res=9&{PERIOD}").json()
    assert sum(feature["properties"]["count"] for feature in answer["features"]) == 8
    assert all(len(feature["properties"]["cell"]) == 15 for feature in answer["features"])


def test_pages_of_heat_are_all_of_it(app, posted):
    caller, path, seen = app.as_("dispatcher"), f"/api/heat?kind=micro&limit=5&geometry=false&{PERIOD}", {}
    while path:
        answer = caller.get(path)
        seen |= values(answer)
        path = answer.json()["next"]
    assert len(seen) == 32
    assert sum(seen.values()) == 8


@pytest.mark.parametrize(
    "query", ["kind=castle", "res=99&by=hex", "measure=joy", "category=gossip", "from=x", "cursor=@"]
)
def test_impossible_questions(app, query):
    assert app.as_("dispatcher").get(f"/api/heat?{query}").status_code == 422


def test_the_folium_page_loads_nothing_from_elsewhere(app, posted):
    answer = app.as_("dispatcher").get(f"/api/heat/map?kind=micro&category=dispute&{PERIOD}")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert "sandbox" in answer.headers["content-security-policy"]
    loaded = re.findall(r"""(?:src|href)=["'](https?://[^"']+)""", answer.text)
    assert {url for url in loaded if "leafletjs.com" not in url} == set()
    assert "L.map(" in answer.text
    assert "Leaflet 1.9.4" in answer.text
    english = app.as_("dispatcher").get(f"/api/heat/map?kind=micro&{PERIOD}&lang=en").text
    assert "Events per 100 households" in english


def test_heat_as_a_picture(app, posted):
    answer = app.as_("dispatcher").get(f"/api/heat/map.png?kind=micro&{PERIOD}&width=400&height=300")
    assert answer.headers["content-type"] == "image/png"
    assert answer.content[:8] == b"\x89PNG\r\n\x1a\n"
    assert (int.from_bytes(answer.content[16:20]), int.from_bytes(answer.content[20:24])) == (400, 300)
    assert app.as_("dispatcher").get("/api/heat/map.png?width=1").status_code == 422


def test_what_is_taken_out_says_by_whom_when_and_why_and_so_does_the_audit(app, posted):
    caller = app.as_("west")
    where = f"kind=village&area=990126001&{PERIOD}&crs=%00"
    page = caller.get(f"/api/heat/map?{where}&reason=镇务会<script>")
    assert re.search(r"· west · \d{4}-\d\d-\d\dT[\d:+]+ · 镇务会\\u003cscript", page.text)
    picture = caller.get(f"/api/heat/map.png?{where}&reason=镇务会")
    assert re.search("iTXtComment\0+west · [^\0]+ · 镇务会".encode(), picture.content)
    assert caller.get(f"/api/heat/map.png?{where}&reason=a%00b").status_code == 422
    assert "· west ·" in caller.get(f"/api/heat/map?{where}").text
    app.service.scribe._store()
    records = app.as_("admin").get("/api/audit?action=export.&actor=west").json()["records"]
    said = [(each["actor"], each["action"], each["reason"]) for each in records]
    assert sorted(said, key=str) == [
        ("west", "export.heat.page", "镇务会<script>"),
        ("west", "export.heat.page", None),
        ("west", "export.heat.picture", "镇务会"),
    ]
    assert records[0]["detail"]["filters"]["area"] == "990126001"
    assert records[0]["edition"] == 1


def test_tiles_have_tags_and_nothing_of_others(app, posted):
    caller = app.as_("dispatcher")
    path = "/api/tiles/grids/12/3322/1689.mvt"
    first = caller.get(path)
    assert first.status_code == 200
    assert first.headers["content-type"] == "application/vnd.mapbox-vector-tile"
    assert b"99012600100100101" in first.content
    tag = first.headers["etag"]
    assert caller.get(path, headers={"If-None-Match": tag}).status_code == 304
    assert caller.get("/api/tiles/grids/13/0/0.mvt").status_code == 204
    # another person's tag for the same address never holds
    east = app.as_("east").get(path, headers={"If-None-Match": tag})
    assert east.status_code == 200
    assert b"99012600100100101" not in east.content
    assert caller.get("/api/tiles/castles/1/0/0.mvt").status_code == 404
    assert caller.get("/api/tiles/grids/1/9/9.mvt").status_code == 422
    for layer in ("areas", "buildings", "streets", "events", "heat"):
        assert caller.get(f"/api/tiles/{layer}/14/13288/6757.mvt").status_code in {200, 204}


def test_indicators_with_fractions_children_and_days(app, posted):
    caller = app.as_("dispatcher")
    answer = caller.get(f"/api/indicators?area=990126&{PERIOD}").json()
    rate = answer["indicators"]["in_grid_rate"]
    assert (rate["numerator"], rate["denominator"], rate["value"]) == (8, 8, 1.0)
    assert answer["categories"]["dispute"] == 6
    children = caller.get(f"/api/indicators?area=990126&by=children&{PERIOD}").json()["children"]
    assert {child["code"]: child["count"] for child in children} == {"990126001": 6, "990126002": 2}
    months = caller.get("/api/indicators?by=month&from=2026-08-01&to=2026-10-01").json()["months"]
    assert months == [{"month": "2026-08-01", "count": 8}, {"month": "2026-09-01", "count": 0}]
    days = caller.get("/api/indicators?by=day&from=2026-08-24&to=2026-08-26").json()["days"]
    assert days == [{"day": "2026-08-24", "count": 8}, {"day": "2026-08-25", "count": 0}]
