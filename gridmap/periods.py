"""Periods: half-open, in moments that know their zone; the one to compare with; local days."""

import datetime as dt
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from gridmap.errors import InvalidInput

LONGEST_DAILY = 1100  # days in an answer by day: three years


@dataclass(frozen=True)
class Period:
    """From `since` (inclusive) to `until` (exclusive).

    Raises:
        InvalidInput: a moment without zone (`bad_time`), or the end lies before the beginning (`bad_period`).
    """

    since: dt.datetime
    until: dt.datetime

    def __post_init__(self) -> None:
        if self.since.tzinfo is None or self.until.tzinfo is None:
            raise InvalidInput("A moment needs its time zone", code="bad_time")
        if self.until <= self.since:
            raise InvalidInput(
                f"from {self.since.isoformat()} to {self.until.isoformat()} holds no time: the end is exclusive",
                code="bad_period",
                findings=[{"field": "to", "value": self.until.isoformat(), "message": "later than from"}],
            )

    @classmethod
    def of(cls, since: dt.datetime | None, until: dt.datetime | None, now: dt.datetime) -> "Period":
        """What was asked for; what was left open becomes the last twelve months."""
        if until is None:
            later = since is not None and since.tzinfo is not None and since >= now
            until = _shifted(since, dt.timedelta(days=1)) if later and since else now
        return cls(since or a_year_before(until), until)

    def year_before(self) -> "Period":
        """The same days a year before."""
        return Period(a_year_before(self.since), a_year_before(self.until))

    def previous(self) -> "Period":
        """The period of the same length that ends where this one begins."""
        return Period(_shifted(self.since, self.since - self.until), self.since)

    def days(self, zone: ZoneInfo) -> list[dt.date]:
        """The local days that it touches, in order.

        Raises:
            InvalidInput: more than three years (`period_too_long`).
        """
        try:
            first = self.since.astimezone(zone).date()
            last = (self.until - dt.timedelta(microseconds=1)).astimezone(zone).date()
        except OverflowError as error:
            raise _beyond() from error
        number = (last - first).days + 1
        if number > LONGEST_DAILY:
            raise InvalidInput(
                f"{number} days are too many to list: at most {LONGEST_DAILY}", code="period_too_long"
            )
        return [first + dt.timedelta(days=step) for step in range(number)]


def _shifted(moment: dt.datetime, by: dt.timedelta) -> dt.datetime:
    try:
        return moment + by
    except OverflowError as error:
        raise _beyond() from error


def _beyond() -> InvalidInput:
    return InvalidInput("The period reaches beyond the years 1 to 9999", code="bad_period")


def a_year_before(moment: dt.datetime) -> dt.datetime:
    """The same local day and time a year before; 29 February becomes 28."""
    try:
        return moment.replace(year=moment.year - 1)
    except ValueError:
        if moment.year <= 1:
            raise InvalidInput("There is no year before the first", code="bad_period") from None
        return moment.replace(year=moment.year - 1, day=28)


def moment(text: str | None, name: str, zone: ZoneInfo) -> dt.datetime | None:
    """A time as people and programs write it: RFC 3339 with its zone, or a plain date, which is midnight in `zone`.

    Raises:
        InvalidInput: it is neither.
    """
    if not text:
        return None
    try:
        if len(text) == 10:
            return dt.datetime.combine(dt.date.fromisoformat(text), dt.time(), zone)
        # A plus sign in a query string arrives as a space where the client did not escape it.
        parsed = dt.datetime.fromisoformat(text.replace(" ", "+") if "T" in text else text)
    except ValueError as error:
        raise _no_moment(text, name) from error
    if parsed.tzinfo is None:
        raise _no_moment(text, name)
    return parsed


def _no_moment(text: str, name: str) -> InvalidInput:
    return InvalidInput(
        f"{name}={text[:40]!r} is no time: RFC 3339 with a zone (2026-08-24T13:51:00+08:00) or a date (2026-08-24)",
        code="bad_time",
        findings=[{"field": name, "value": text[:40], "message": "RFC 3339 with a zone, or a date"}],
    )
