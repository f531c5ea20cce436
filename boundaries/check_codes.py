"""Codes: there once each, and well formed."""

import numpy as np
from numpy.typing import NDArray

from boundaries.check_areas import ALLOWED_CODE, Areas
from boundaries.check_findings import Examination, place_in
from gridmap.codes import DEFAULT, Scheme

LISTED = 5


def add_codes(report: Examination, areas: Areas, geom: NDArray[np.object_], scheme: Scheme | None) -> None:
    """Reports codes that are there twice, missing or malformed.

    Args:
        report: takes the findings.
        areas: under check.
        geom: their sound polygons, for a place.
        scheme: which all codes must follow. None means the default one, for those kinds at least half of whose
            codes follow it: another county has another scheme, and one wrong code is no scheme.
    """
    rows_of: dict[str, list[int]] = {}
    for row, code in enumerate(areas.code):
        rows_of.setdefault(code, []).append(row)
    for code, rows in rows_of.items():
        if not code or len(rows) == 1:
            continue
        listed = ", ".join(str(areas.rows[row]) for row in rows[:LISTED]) + (
            "…" if len(rows) > LISTED else ""
        )
        message = f"编码 {code} 出现 {len(rows)} 次（行 {listed}） stands {len(rows)} times, in rows {listed}"
        where = next((place for row in rows[::-1] if (place := place_in(geom[row]))), None)
        report.add("duplicate_code", code, message, where=where, measure=float(len(rows)), unit="areas")
    for row, reason in _malformed(report, areas, scheme):
        message = f"{areas.named(row)} 编码不合规（行 {areas.rows[row]}） in row {areas.rows[row]}: {reason}"
        report.add("bad_code", areas.code[row], message, where=place_in(geom[row]))


def _malformed(report: Examination, areas: Areas, scheme: Scheme | None) -> list[tuple[int, str]]:
    found: list[tuple[int, str]] = []
    for kind in dict.fromkeys(areas.kind):
        rows = [row for row in range(len(areas)) if areas.kind[row] == kind]
        reasons = {row: (scheme or DEFAULT).check(areas.code[row], kind) for row in rows}
        followed = sum(reason is None for reason in reasons.values())
        if scheme is None and 2 * followed < len(rows):
            report.notes.append(
                f"{kind}：编码不按默认编码规则，只检查字符"
                f" codes do not follow the default scheme and are checked for their characters alone"
            )
            reasons = {row: _characters(areas.code[row]) for row in rows}
        found += [(row, reason) for row, reason in reasons.items() if reason is not None]
    return found


def _characters(code: str) -> str | None:
    if not code:
        return "empty"
    return None if ALLOWED_CODE.fullmatch(code) else "only letters A-Z, digits and _ are allowed"
