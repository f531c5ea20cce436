"""What is wrong, where, and what to do: one shape for refused rows, repairs and coverage findings.

A refused row names file, row, field and value; a finding on a polygon names the area, the place and a
measure. `gridmap check` and `gridmap load --report` write the same keys.
"""

import csv
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Literal, Self

Severity = Literal["error", "warning", "info"]

# What each code means to the person at the counter; the English sentence of a finding is more precise.
TITLES: Final[Mapping[str, str]] = {
    "bad_code": "编码不合规",
    "bad_encoding": "字符编码错误",
    "bad_geometry": "图形无法读取",
    "bad_parent": "上级类型不对",
    "bad_row": "行的列数不对",
    "bad_shift": "班次写法不对",
    "bad_time": "时间无法识别",
    "bad_value": "取值不合规",
    "code_of_other_kind": "编码属于另一类型的区域",
    "conflict": "同一编号内容不同",
    "digits_lost": "数字位数丢失（请改存为文本）",
    "duplicate_code": "编码重复",
    "fitted": "边界已贴合",
    "gap": "缝隙",
    "households_out_of_range": "户数超出范围",
    "invalid": "图形无效（自相交等）",
    "missing": "缺少必填内容",
    "missing_time_zone": "时间缺少时区",
    "no_geometry": "没有图形",
    "not_contiguous": "不连片",
    "not_finite": "坐标不是有限数",
    "not_whole": "不是非负整数",
    "out_of_range": "坐标超出范围",
    "outside_parent": "超出上级范围",
    "overlap": "重叠",
    "repaired": "图形已修复",
    "retired_code": "编码已注销，不可再用",
    "sliver": "碎面",
    "swapped_axes": "疑似经纬度颠倒",
    "too_long": "内容过长",
    "unknown_area": "没有这个区域",
    "unknown_category": "没有这个类别",
    "unknown_class": "没有这个道路等级",
    "unknown_kind": "没有这个区域类型",
    "unknown_parent": "没有这个上级区域",
    "unknown_role": "没有这个角色",
    "unknown_setting": "没有这个城乡类型",
    "unknown_unit": "没有这个单位",
    "wrong_geometry": "图形类型不对",
}

VALUE_LENGTH = 60


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, or was put right.

    Attributes:
        code: stable token.
        message: one sentence: what, and what is allowed.
        severity: an `error` refuses its row.
        file, row, field, value: where in a file; rows as a person counts records from 1, for CSV and XLSX
            the line. The value is shortened.
        area, other: codes of the areas concerned.
        where: longitude and latitude in degrees (WGS-84), where a place is known.
        measure, unit: how much, for example 12.5 `m2`.
    """

    code: str
    message: str
    severity: Severity = "error"
    file: str | None = None
    row: int | None = None
    field: str | None = None
    value: str | None = None
    area: str | None = None
    other: str | None = None
    where: tuple[float, float] | None = None
    measure: float | None = None
    unit: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `where` as a list."""
        plain = asdict(self)
        plain["where"] = list(self.where) if self.where else None
        return plain

    @property
    def title(self) -> str:
        """中文 for the code."""
        return TITLES.get(self.code, self.code)


def shorten(value: object) -> str | None:
    """A value as it is shown in a finding: one line, at most 60 characters."""
    if value is None:
        return None
    text = " ".join(str(value).encode("utf-8", "replace").decode("utf-8").split())
    return text if len(text) <= VALUE_LENGTH else text[: VALUE_LENGTH - 1] + "…"


class Findings:
    """Collects findings of a file of any length: counts all, keeps the first, streams all into a report.

    Args:
        file: name that every finding carries.
        report: `.json` or any other ending for CSV; None keeps only what is in memory.
        keep: how many stay in memory.

    Use it as a context: the report appears under its name when the context ends, whole.
    """

    def __init__(self, file: str, *, report: Path | None = None, keep: int = 1000) -> None:
        self.file = file
        self.kept: list[Finding] = []
        self._foremost: dict[Severity, list[Finding]] = {"error": [], "warning": [], "info": []}
        self.counts: Counter[str] = Counter()
        self.refused = 0
        self._keep = keep
        self._refused_rows = bytearray()
        self._report = _Report.open(report, file) if report else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._report:
            self._report.close(self.refused)
            self._report = None

    def add(self, finding: Finding) -> None:
        """Counts it, and its row as refused where it is an error."""
        self.counts[finding.code] += 1
        if finding.severity == "error" and (finding.row is None or self._flag(finding.row)):
            self.refused += 1
        if len(self.kept) < self._keep:
            self.kept.append(finding)
        if len(self._foremost[finding.severity]) < self._keep:
            self._foremost[finding.severity].append(finding)
        if self._report:
            self._report.write(finding)

    def foremost(self, many: int) -> list[Finding]:
        """The first so many: what refuses rows before what warns, and that before what only tells."""
        return [each for found in self._foremost.values() for each in found][:many]

    def refuse(
        self,
        row: int,
        code: str,
        message: str,
        *,
        field: str | None = None,
        value: object = None,
        where: tuple[float, float] | None = None,
        area: str | None = None,
    ) -> None:
        """Refuses a row."""
        self.add(
            Finding(
                code=code,
                message=message,
                file=self.file,
                row=row,
                field=field,
                value=shorten(value),
                where=where,
                area=area,
            )
        )

    def is_refused(self, row: int) -> bool:
        """Whether a row was refused before."""
        return row < len(self._refused_rows) and bool(self._refused_rows[row])

    def _flag(self, row: int) -> bool:
        # A byte a row: a million refused rows cost a megabyte, a set of them would cost sixty.
        if row >= len(self._refused_rows):
            self._refused_rows.extend(bytes(row + 1 - len(self._refused_rows) + 4096))
        new = not self._refused_rows[row]
        self._refused_rows[row] = 1
        return new


CSV_COLUMNS = [*(each.name for each in fields(Finding) if each.name != "where"), "lon", "lat", "说明"]


class _Report:
    """A report being written beside its final name."""

    def __init__(self, path: Path, partial: Path, stream: IO[str], file: str) -> None:
        self._path, self._partial, self._stream = path, partial, stream
        self._json = path.suffix.lower() == ".json"
        self._first = True
        if self._json:
            stream.write(f'{{"file": {json.dumps(file, ensure_ascii=False)}, "findings": [')
        else:
            self._csv = csv.DictWriter(stream, CSV_COLUMNS)
            self._csv.writeheader()

    @classmethod
    def open(cls, path: Path, file: str) -> "_Report":
        partial = path.with_name(f".{path.name}.partial")
        # Excel takes CSV for UTF-8 only where it begins with a mark.
        encoding = "utf-8" if path.suffix.lower() == ".json" else "utf-8-sig"
        stream = partial.open("w", encoding=encoding, newline="")
        return cls(path, partial, stream, file)

    def write(self, finding: Finding) -> None:
        if self._json:
            self._stream.write("\n" if self._first else ",\n")
            json.dump(finding.as_dict(), self._stream, ensure_ascii=False)
            self._first = False
            return
        row = finding.as_dict()
        lon, lat = row.pop("where") or (None, None)
        self._csv.writerow({**row, "lon": lon, "lat": lat, "说明": finding.title})

    def close(self, refused: int) -> None:
        if self._json:
            self._stream.write(f'\n], "refused": {refused}}}\n')
        self._stream.close()
        self._partial.replace(self._path)
