"""Settings of planning: how codes are built, how many households a grid should have, how long a plan is shown."""

from collections.abc import Mapping
from typing import Literal, TypedDict

from gridmap.errors import InvalidInput

HOUSEHOLDS = "micro=50:100,comprehensive=300:500"
ORDERS: Mapping[str, Literal["west_east", "rows"]] = {"west_east": "west_east", "rows": "rows"}
LONGEST_NOTICE_DAYS = 365


class PlanningSettings(TypedDict):
    """The fields of `gridmap.settings.Settings` of the same names."""

    code_scheme: str | None
    code_order: Literal["west_east", "rows"]
    household_ranges: str
    notice_days: int


def read(env: Mapping[str, str]) -> PlanningSettings:
    """Reads `GRIDMAP_CODE_SCHEME`, `GRIDMAP_CODE_ORDER`, `GRIDMAP_HOUSEHOLD_RANGES`, `GRIDMAP_NOTICE_DAYS`.

    Raises:
        InvalidInput: a value cannot be used; the message names the variable.
    """
    scheme = env.get("GRIDMAP_CODE_SCHEME") or None
    order = env.get("GRIDMAP_CODE_ORDER") or "west_east"
    ranges = env.get("GRIDMAP_HOUSEHOLD_RANGES") or HOUSEHOLDS
    days = env.get("GRIDMAP_NOTICE_DAYS") or "0"
    if order not in ORDERS:
        raise _refused("GRIDMAP_CODE_ORDER", order, " or ".join(ORDERS))
    if not (days.isascii() and days.isdecimal() and int(days) <= LONGEST_NOTICE_DAYS):
        raise _refused("GRIDMAP_NOTICE_DAYS", days, f"whole days from 0 to {LONGEST_NOTICE_DAYS}")
    # Who sets neither does not wait for NumPy at every `gridmap --help`.
    if scheme is not None:
        from gridmap.codes import Scheme  # noqa: PLC0415  # see above

        try:
            Scheme.from_text(scheme)
        except InvalidInput as error:
            raise _refused("GRIDMAP_CODE_SCHEME", scheme, error.message) from error
    if ranges != HOUSEHOLDS:
        from gridmap.household_ranges import parse_ranges  # noqa: PLC0415  # the same

        parse_ranges(ranges, "GRIDMAP_HOUSEHOLD_RANGES")
    return PlanningSettings(
        code_scheme=scheme, code_order=ORDERS[order], household_ranges=ranges, notice_days=int(days)
    )


def _refused(name: str, value: str, needed: str) -> InvalidInput:
    return InvalidInput(f"{name}={value!r}: {needed}", code="bad_setting")
