"""Which column holds what."""

import pytest

from boundaries.fields import map_fields, parse_pairs, require
from gridmap.errors import InvalidInput


def mapped(noun, columns, given=None, constants=None):
    return map_fields(noun, columns, given or {}, constants or {}, file="f.csv")


@pytest.mark.parametrize(
    ("noun", "columns", "found"),
    [
        ("areas", ["GEOID", "NAME"], {"code": "GEOID", "name": "NAME"}),
        ("areas", ["网格编码", "网格名称", "上级编码"],
         {"code": "网格编码", "name": "网格名称", "parent": "上级编码"}),
        ("buildings", ["楼栋编码", "户数", "经度", "纬度"],
         {"code": "楼栋编码", "households": "户数", "x": "经度", "y": "纬度"}),
        ("events", ["External ID", "category", "occurred_a", "Lon", "LAT"],
         {"external_id": "External ID", "category": "category", "occurred_at": "occurred_a",
          "x": "Lon", "y": "LAT"}),
        ("workers", ["工号", "姓名", "岗位", "责任网格"],
         {"code": "工号", "name": "姓名", "role": "岗位", "areas": "责任网格"}),
    ],
)  # fmt: skip
def test_columns_are_found_by_their_names(noun, columns, found):
    assert mapped(noun, columns).columns == found


def test_the_caller_goes_before_names_and_a_column_is_taken_once():
    assert mapped("areas", ["code", "GEOID"], {"code": "GEOID"}).columns == {"code": "GEOID"}
    assert mapped("areas", ["code"], {"name": "CODE"}).columns == {"name": "code"}
    assert mapped("areas", ["code", "kind"], {}, {"kind": "county"}).columns == {"code": "code"}
    assert mapped("areas", ["code", "name"], {"name": "-"}).columns == {"code": "code"}


def test_a_plain_id_does_not_identify_events():
    assert mapped("events", ["Id"]).columns == {}


def test_an_unknown_column_lists_the_columns():
    with pytest.raises(InvalidInput, match="it has a, b") as caught:
        mapped("areas", ["a", "b"], {"code": "c"})
    assert caught.value.code == "unknown_column"


def test_an_unknown_field_lists_the_fields():
    with pytest.raises(InvalidInput, match="code, name, kind, parent"):
        mapped("areas", ["a"], {"kode": "a"})


def test_missing_fields_are_named_all_at_once():
    with pytest.raises(InvalidInput, match=r"no column for code, households.*Its columns are a") as caught:
        require(mapped("buildings", ["a"]), ("code", "households"), ["a"], file="f.csv")
    assert [each["field"] for each in caught.value.findings] == ["code", "households"]


def test_pairs():
    assert parse_pairs(["code=A,lon=B", r"name=N\,M=1"], "--fields") == {
        "code": "A",
        "x": "B",
        "name": "N,M=1",
    }
    for wrong in ("code", "code=", "=A", "code=A,code=B"):
        with pytest.raises(InvalidInput, match="FIELD=VALUE"):
            parse_pairs([wrong], "--fields")


def test_an_identity_cannot_be_the_same_for_all():
    with pytest.raises(InvalidInput, match="external_id cannot be the same"):
        mapped("events", [], {}, {"external_id": "1"})
