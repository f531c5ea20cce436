"""From what stands in a file to what it means, row by row; what has no meaning is refused with its place."""

import datetime as dt
import math
import re
import unicodedata
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from boundaries.fields import Mapped
from boundaries.findings import Findings
from boundaries.read import Chunk
from gridmap.errors import InvalidInput

CODE: Final = re.compile(r"[A-Za-z0-9_]{1,255}")
PRIVATE: Final = frozenset({"title", "description", "address", "contact"})  # never shown in a report
LONGEST_NAME: Final = 200
EXACT_DIGITS: Final = 15  # what a spreadsheet keeps of a number
LARGEST: Final = 2_147_483_647

_DATE = re.compile(r"(\d{4})(?:[-/.](\d{1,2})[-/.]|年(\d{1,2})月)(\d{1,2})日?(.*)")
_SHORT_HOUR = re.compile(r"^(\d):")
_ZONE_COLON = re.compile(r"([+-]\d{2})(\d{2})$")


class Rows:
    """A chunk under check: gives columns as typed values and remembers which rows were refused.

    Args:
        chunk: as read.
        mapped: which column holds which field.
        findings: takes the refusals.

    Attributes:
        good: bool, the rows that nothing was found against so far.
    """

    def __init__(self, chunk: Chunk, mapped: Mapped, findings: Findings) -> None:
        self.chunk = chunk
        self.mapped = mapped
        self.findings = findings
        self.good: NDArray[np.bool_] = np.ones(len(chunk.rows), dtype=bool)
        for problem in chunk.problems:
            findings.add(problem)

    def __len__(self) -> int:
        return len(self.chunk.rows)

    def refuse(
        self,
        place: int,
        code: str,
        message: str,
        *,
        field: str | None = None,
        value: object = None,
        where: tuple[float, float] | None = None,
        area: str | None = None,
    ) -> None:
        """Refuses the row at a place of the chunk."""
        self.good[place] = False
        column = self.mapped.columns.get(field, field) if field else None
        shown = None if field in PRIVATE else value
        row = int(self.chunk.rows[place])
        self.findings.refuse(row, code, message, field=column, value=shown, where=where, area=area)

    def raw(self, field: str) -> list[Any] | None:
        """Values of a field as read, the constant for all rows, or None where there is neither."""
        if field in self.mapped.constants:
            return [self.mapped.constants[field]] * len(self)
        column = self.mapped.columns.get(field)
        return None if column is None else list(self.chunk.columns[column])

    def _each(
        self, field: str, read: Callable[[Any], Any], missing: Callable[[int], Any] | None
    ) -> list[Any] | None:
        """Reads every value; `read` raises `Refused`, `missing` answers for empty cells."""
        if field in self.mapped.constants:
            return [self._constant(field, read)] * len(self)
        raw = self.raw(field)
        if raw is None:
            return None
        values: list[Any] = [None] * len(raw)
        for place, value in enumerate(raw):
            if value is None or value == "":
                if missing is None:
                    self.refuse(place, "missing", f"{field} is empty; it is needed", field=field)
                else:
                    values[place] = missing(place)
                continue
            try:
                values[place] = read(value)
            except Refused as refused:
                self.refuse(place, refused.code, refused.message, field=field, value=value)
        return values

    def _constant(self, field: str, read: Callable[[Any], Any]) -> Any:
        """The value that is the same for all rows; a wrong one is said once, not for every row."""
        value = self.mapped.constants[field]
        try:
            return read(value)
        except Refused as refused:
            raise InvalidInput(f"--set {field}={value}: {refused.message}", code=refused.code) from refused

    def each(self, field: str, read: Callable[[Any], Any]) -> list[Any] | None:
        """Whatever `read` makes of a value; empty cells are None."""
        return self._each(field, read, _nothing)

    def codes(self, field: str, *, required: bool = True) -> list[str | None] | None:
        """Codes: letters, digits and underscores; whole numbers become their digits."""
        raw = self.raw(field)
        if raw is not None and all(type(value) is str for value in raw) and all(map(CODE.fullmatch, raw)):
            return raw  # the usual case, ten times as fast
        return self._each(field, read_code, None if required else _nothing)

    def texts(self, field: str, *, required: bool = False, longest: int = 10_000) -> list[str | None] | None:
        """Texts of bounded length."""
        raw = self.raw(field)
        if (
            raw is not None
            and all(type(value) is str for value in raw)
            and len(max(raw, key=len, default="")) <= longest
        ):
            return raw  # the usual case

        def read(value: Any) -> str:
            text = as_text(value)
            if len(text) > longest:
                raise Refused("too_long", f"{len(text)} characters; at most {longest} are stored")
            return text

        return self._each(field, read, None if required else _nothing)

    def names(self, field: str = "name", *, required: bool = False) -> list[str | None] | None:
        """Short texts without characters that cannot be seen: a name is read by people, on pages and in terminals."""
        names = self.texts(field, required=required, longest=LONGEST_NAME)
        if names is None or "".join(name for name in names if name).isprintable():
            return names
        return [name and _seen(name) for name in names]

    def whole(self, field: str, *, least: int = 0, default: int | None = None) -> NDArray[np.int64] | None:
        """Whole numbers from `least` on; empty cells are refused unless there is a default."""
        quick = _all_whole(self.raw(field), least)
        if quick is not None:
            return quick
        missing = None if default is None else lambda _: default
        values = self._each(field, lambda value: read_whole(value, least), missing)
        return None if values is None else np.array([value or 0 for value in values], dtype=np.int64)

    def number(self, field: str, *, least: float) -> list[float | None] | None:
        """Finite numbers from `least` on; empty cells stay None."""

        def read(value: Any) -> float:
            number = read_number(value)
            if not least <= number < math.inf:
                raise Refused("bad_value", f"a number from {least:g} on is needed")
            return number

        return self._each(field, read, _nothing)

    def choice(
        self,
        field: str,
        allowed: Collection[str],
        words: Mapping[str, str],
        *,
        code: str,
        required: bool = True,
    ) -> list[str | None] | None:
        """One of a set of tokens, or a word that stands for one, whatever the case."""

        def read(value: Any) -> str:
            text = as_text(value)
            token = words.get(text) or words.get(text.casefold(), text.casefold())
            if token not in allowed:
                raise Refused(code, f"{field} is none of {', '.join(allowed)}")
            return token

        return self._each(field, read, None if required else _nothing)

    def moments(
        self, field: str, zone: ZoneInfo | None, days: ZoneInfo, *, required: bool = True
    ) -> list[dt.datetime | None] | None:
        """Moments with a zone.

        Args:
            field: which.
            zone: of times that name none; None refuses these.
            days: whose midnight a plain date is.
            required: refuses empty cells.
        """
        return self._each(field, lambda value: read_moment(value, zone, days), None if required else _nothing)


def _all_whole(raw: list[Any] | None, least: int) -> NDArray[np.int64] | None:
    """All values as whole numbers where every one is good; else they are looked at one by one."""
    try:
        numbers = np.array(raw, dtype=np.float64)
    except (TypeError, ValueError):
        return None
    bounded = numbers.ndim == 1 and bool(((numbers >= least) & (numbers <= LARGEST)).all())
    good = bounded and bool((numbers % 1 == 0).all())
    return numbers.astype(np.int64) if good else None


class Refused(Exception):  # noqa: N818  # it carries a refusal from a reader of one value to its row
    """A value without a meaning."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def _nothing(_: int) -> None:
    return None


def as_text(value: Any) -> str:
    """A value as text; whole floats lose their `.0`, which only spreadsheets put there."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


def _seen(text: str) -> str:
    """Without control characters and those that turn a line round; where a line was broken there is a space."""
    spaced = re.sub(r"[\t\n\v\f\r\x85\u2028\u2029]+", " ", text)
    return "".join(each for each in spaced if unicodedata.category(each) not in {"Cc", "Cf"}).strip()


def read_code(value: Any) -> str:
    """A code.

    Raises:
        Refused: other characters, or a number with more digits than a spreadsheet keeps.
    """
    if isinstance(value, float) and abs(value) >= 10**EXACT_DIGITS:
        raise Refused("digits_lost", f"a number of more than {EXACT_DIGITS} digits; store the column as text")
    text = as_text(value)
    if not CODE.fullmatch(text):
        raise Refused("bad_code", "a code is made of A-Z a-z 0-9 _ alone")
    return text


def read_number(value: Any) -> float:
    """A finite number.

    Raises:
        Refused: no number, NaN or infinite.
    """
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise Refused("bad_value", "no number") from error
    if not math.isfinite(number):
        raise Refused("bad_value", "no finite number")
    return number


def read_whole(value: Any, least: int) -> int:
    """A whole number from `least` on.

    Raises:
        Refused: anything else.
    """
    try:
        number = read_number(value)
    except Refused as refused:
        raise Refused("not_whole", f"a whole number from {least} on is needed") from refused
    if not number.is_integer() or not least <= number <= LARGEST:
        raise Refused("not_whole", f"a whole number from {least} on is needed")
    return int(number)


def read_moment(value: Any, zone: ZoneInfo | None, days: ZoneInfo) -> dt.datetime:
    """A moment: RFC 3339 with zone, a plain date (midnight in `days`), or a local time where `zone` is given.

    Raises:
        Refused: no time, or a time without zone.
    """
    moment = value if isinstance(value, dt.date) else _parse(as_text(value))
    if not isinstance(moment, dt.datetime):
        return dt.datetime.combine(moment, dt.time(), days)
    if moment.tzinfo is None:
        if zone is None:
            raise Refused(
                "missing_time_zone",
                "a time without zone; write 2024-05-01T08:30:00+08:00, or say --time-zone Asia/Shanghai",
            )
        moment = moment.replace(tzinfo=zone)
    try:
        moment.astimezone(dt.UTC)
    except OverflowError as error:
        raise Refused("bad_time", "a year from 1 to 9999 is needed") from error
    return moment


def _parse(text: str) -> dt.date:
    match = _DATE.fullmatch(text)
    try:
        if match is None:
            return dt.datetime.fromisoformat(_ZONE_COLON.sub(r"\1:\2", text))
        day = dt.date(int(match[1]), int(match[2] or match[3]), int(match[4]))
        time = _SHORT_HOUR.sub(r"0\1:", match[5].lstrip(" T"))
        if not time:
            return day
        return dt.datetime.fromisoformat(f"{day}T" + _ZONE_COLON.sub(r"\1:\2", time))
    except ValueError as error:
        raise Refused("bad_time", "no time; write 2024-05-01T08:30:00+08:00") from error
