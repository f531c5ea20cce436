"""The edition that a draft would make, worked out from what is in memory; nothing is asked of the database."""

from boundaries import plan_publish
from boundaries.draft import Draft
from gridmap.next_edition import NextEdition, Stored


def following(draft: Draft) -> NextEdition:
    """The edition that a draft would make out of its base; whether it may is for who publishes to find out."""
    base = draft.base
    changes = {change.code: change for change in plan_publish.changes(draft)}
    inside = [code for code in draft.codes_of_base if code not in changes]
    along = {code: path for code in inside if (path := draft.path(code)) != base.path[base.row[code]]}
    return NextEdition(
        base.edition,
        {code: _stored(draft, code) for code in changes if code in base.row},
        changes,
        {code: draft.path(code) for code, change in changes.items() if not change.retired},
        along,
    )


def _stored(draft: Draft, code: str) -> Stored:
    base, row = draft.base, draft.base.row[code]
    columns = (base.kind, base.name, base.setting, base.parent, base.path, base.geom)
    return Stored(*(column[row] for column in columns))
