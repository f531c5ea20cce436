"""What is wrong with a plan: the check of coverages over the areas inside its scope, as they are in its draft."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from boundaries.check import Areas, CoverageFinding, Rules, check
from boundaries.check_areas import UNKNOWN
from boundaries.draft import Draft
from boundaries.ground import Ground, ranges_of, scheme_of
from gridmap.settings import Settings

_Key = tuple[str, str | None, str | None]


@dataclass(frozen=True)
class Checked:
    """What a check found.

    Attributes:
        findings: errors and warnings, in their fixed order.
        errors: those errors that the edition did not have: they keep the plan from being submitted.
    """

    findings: list[CoverageFinding]
    errors: list[CoverageFinding]


def check_plan(draft: Draft, ground: Ground, settings: Settings) -> Checked:
    """Checks the areas inside a draft's scope, and that they fill it.

    Args:
        draft: of a plan.
        ground: under it; says how many households live where.
        settings: ranges of households, and the scheme of codes where it is not the usual one.
    """
    found = _found(draft, ground.households.of(draft), settings)
    errors = [each for each in found if each.severity == "error"]
    if not errors:
        return Checked(found, [])
    # Coverages that came in before there was a gate may have errors; who redraws next to them did not make them.
    before: dict[_Key, float] = {}
    for each in _found(Draft.open(draft.base, draft.scope), ground.households.of_base, settings):
        before[_key(each)] = max(before.get(_key(each), 0.0), each.measure or 0.0)
    new = [
        each
        for each in errors
        if _key(each) not in before or (each.measure or 0.0) > before[_key(each)] * (1 + 1e-6) + 1e-6
    ]
    return Checked(found, new)


def _key(finding: CoverageFinding) -> _Key:
    return finding.code, finding.area, finding.other


def _found(draft: Draft, households: Mapping[str, int], settings: Settings) -> list[CoverageFinding]:
    scope = draft.get(draft.scope)
    assert scope is not None  # noqa: S101  # no edit retires what it works inside
    areas = [scope, *draft.inside()]
    scheme = None
    if settings.code_scheme is not None:
        scheme = scheme_of(settings.code_scheme, settings.code_order)
    return check(
        Areas.from_arrays(
            [area.geom for area in areas],
            [area.code for area in areas],
            kind=[area.kind for area in areas],
            # What the scope hangs from is not looked at.
            parent=[None, *(area.parent for area in areas[1:])],
            households=np.array([households.get(area.code, UNKNOWN) for area in areas], dtype=np.int64),
        ),
        rules=Rules(ranges=ranges_of(settings.household_ranges), scheme=scheme),
    )
