"""What is wrong with a plan: the check of coverages over the areas inside its scope, as they are in its draft."""

from dataclasses import dataclass, replace

import numpy as np

from boundaries.check import Areas, CoverageFinding, check, in_order
from boundaries.check_areas import UNKNOWN
from boundaries.draft import Draft, PlannedArea
from boundaries.ground import Ground, rules_of
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


def check_plan(draft: Draft, ground: Ground, settings: Settings, *, whole: bool = False) -> Checked:
    """Checks the areas inside a draft's scope, and that they fill it.

    Cost follows what changed since the last check on this ground: what was found then is kept for areas that nothing
    concerns.

    Args:
        draft: of a plan.
        ground: under it; says how many households live where.
        settings: ranges of households, and the scheme of codes where it is not the usual one.
        whole: look at everything anew, as before a plan is handed in.
    """
    before = ground.findings_of_base(lambda: _of_base(draft, ground, settings))
    if whole:
        found = _found(draft, list(draft.inside()), ground, settings)
    else:
        since, kept = ground.checked or (Draft.open(draft.base, draft.scope), before)
        differing = draft.differing(since)
        found = _patched(draft, since, differing, ground, settings, kept) if differing else kept
        ground.checked = draft, found
    # Coverages that came in before there was a gate may have errors; who redraws next to them did not make them.
    known: dict[_Key, float] = {}
    for each in before:
        known[_key(each)] = max(known.get(_key(each), 0.0), each.measure or 0.0)
    new = [
        each
        for each in found
        if each.severity == "error"
        and (_key(each) not in known or (each.measure or 0.0) > known[_key(each)] * (1 + 1e-6) + 1e-6)
    ]
    return Checked(found, new)


def _of_base(draft: Draft, ground: Ground, settings: Settings) -> list[CoverageFinding]:
    fresh = Draft.open(draft.base, draft.scope)
    return _found(fresh, list(fresh.inside()), ground, settings)


def _patched(  # two drafts, what tells them apart, and what was found
    draft: Draft,
    since: Draft,
    differing: set[str],
    ground: Ground,
    settings: Settings,
    before: list[CoverageFinding],
) -> list[CoverageFinding]:
    """What was found in a draft before, with what differs since looked at anew.

    A family is an area with all that hangs from it: looked at in part, it would seem not to fill its parent. So what is
    looked at are whole families, from those that the difference concerns up to the scope.
    """
    concerned = set(differing)
    for code in differing:
        for area in (draft.before(code), since.get(code), draft.get(code)):
            if area is not None and area.parent is not None:
                concerned.add(area.parent)
        now = draft.get(code)
        if now is not None and not now.touched:  # what it is made of may fill it no more
            concerned.update(child.code for child in draft.children(code))
    families = {draft.scope}
    for code in concerned:
        if draft.get(code) is not None:
            families.update(draft.path(code).split("."))
    looked_at = [area for area in draft.inside() if area.parent in families]
    anew = _found(draft, looked_at, ground, settings)
    kept = [each for each in before if not {each.area, each.other} & concerned]
    return in_order([*kept, *(each for each in anew if {each.area, each.other} & concerned)])


def _key(finding: CoverageFinding) -> _Key:
    return finding.code, finding.area, finding.other


def _found(
    draft: Draft, areas: list[PlannedArea], ground: Ground, settings: Settings
) -> list[CoverageFinding]:
    scope = draft.get(draft.scope)
    assert scope is not None  # noqa: S101  # no edit retires what it works inside
    here = [scope, *areas]
    households, buildings = (
        np.array([counts.get(area.code, UNKNOWN) for area in here], dtype=np.int64)
        for counts in (ground.households.of(draft), ground.buildings.of(draft))
    )
    found = Areas.from_arrays(
        [area.geom for area in here],
        [area.code for area in here],
        kind=[area.kind for area in here],
        # What the scope hangs from is not looked at.
        parent=[None, *(area.parent for area in areas)],
        households=households,
    )
    return check(replace(found, buildings=buildings), rules=rules_of(settings))
