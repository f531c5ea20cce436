"""Findings: counted once a row, kept in bounds, reported whole."""

import csv
import json

import pytest

from boundaries.findings import Finding, Findings, shorten


def test_a_row_with_two_faults_is_one_refused_row():
    with Findings("f.csv") as findings:
        findings.refuse(7, "bad_code", "m", field="code", value="a b")
        findings.refuse(7, "not_whole", "m", field="households", value="-1")
        findings.refuse(9000, "bad_code", "m")
        findings.add(Finding("repaired", "m", severity="info", row=3))
    assert findings.refused == 2
    assert findings.is_refused(7)
    assert findings.is_refused(9000)
    assert not findings.is_refused(3)
    assert not findings.is_refused(10**9)
    assert findings.counts == {"bad_code": 2, "not_whole": 1, "repaired": 1}


def test_memory_keeps_the_first_and_the_report_all(tmp_path):
    path = tmp_path / "r.csv"
    with Findings("f.csv", report=path, keep=2) as findings:
        for row in range(1, 6):
            findings.refuse(row, "bad_code", "不行", value=f"值{row}", where=(112.5, 30.25))
        assert not path.exists()
    assert len(findings.kept) == 2
    with path.open(encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["row"] for row in rows] == ["1", "2", "3", "4", "5"]
    assert rows[0]["value"] == "值1"
    assert (rows[0]["lon"], rows[0]["lat"]) == ("112.5", "30.25")
    assert rows[0]["说明"] == "编码不合规"
    assert [each.name for each in tmp_path.iterdir()] == ["r.csv"]


@pytest.mark.parametrize("count", [0, 1, 3])
def test_json_reports_have_the_keys_of_a_check(tmp_path, count):
    path = tmp_path / "r.json"
    with Findings("f.gpkg", report=path) as findings:
        for row in range(count):
            findings.refuse(row + 1, "invalid", "m", where=(1.0, 2.0), area="a1")
    document = json.loads(path.read_text("utf-8"))
    assert document["refused"] == count
    assert len(document["findings"]) == count
    for finding in document["findings"]:
        assert finding.keys() >= {
            *("code", "severity", "area", "other", "where", "measure", "unit", "message"),
            *("file", "row", "field", "value"),
        }
        assert finding["where"] == [1.0, 2.0]


def test_values_are_shown_short_and_in_one_line():
    assert shorten("x" * 500) == "x" * 59 + "…"
    assert shorten("a\nb\tc") == "a b c"
    assert shorten("\udce4") == "?"
    assert shorten(None) is None


def test_what_refuses_is_shown_before_what_only_tells():
    findings = Findings("f", keep=3)
    for row in range(1, 9):
        findings.add(Finding("fitted", "moved", severity="info", row=row))
    findings.add(Finding("sliver", "thin", severity="warning", row=9))
    findings.refuse(10, "overlap", "lies over another")
    assert [each.row for each in findings.foremost(4)] == [10, 9, 1, 2]
    assert [each.row for each in findings.kept] == [1, 2, 3]
