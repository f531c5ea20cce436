"""Living buildings and whose they are: moved along with borders, and counted by area."""

from collections.abc import Mapping, Sequence

import numpy as np
import sqlalchemy as sa

from gridmap.affected import BOXES, IN_BOX, Floats, box_binds
from gridmap.db import Writer, copy_rows
from gridmap.snapshot import Snapshot


def relocate_buildings(session: Writer, snapshot: Snapshot, boxes: Floats) -> int:
    """Gives living buildings in boxes their leaf, owner and paths anew; returns how many moved."""
    rows = session.execute(
        sa.text(
            "SELECT DISTINCT ON (id) id, ST_X(place) AS lon, ST_Y(place) AS lat, leaf, owner, households,"
            f" paths::text[] AS paths FROM {BOXES} JOIN building ON place {IN_BOX} WHERE valid_to IS NULL"
        ),
        box_binds(boxes),
    ).all()
    if not rows:
        return 0
    lon = np.array([row.lon for row in rows])
    lat = np.array([row.lat for row in rows])
    places = snapshot.index.locate(lon, lat, 0.0)
    leaf, owner = snapshot.codes(places.leaf), snapshot.codes(places.owner)
    paths = snapshot.paths_of(places)
    moved = []
    change: dict[str, list[int]] = {}  # code: households and buildings more than before
    for i, row in enumerate(rows):
        if (row.leaf, row.owner, sorted(row.paths)) == (leaf[i], owner[i], paths[i]):
            continue
        moved.append((row.id, leaf[i], owner[i], "{" + ",".join(paths[i]) + "}"))
        for sign, held in ((-1, row.paths), (1, paths[i])):
            for code in {label for path in held for label in path.split(".")}:
                count = change.setdefault(code, [0, 0])
                count[0] += sign * row.households
                count[1] += sign
    if moved:
        session.execute(
            sa.text(
                "CREATE TEMPORARY TABLE IF NOT EXISTS moved (id bigint, leaf text, owner text, paths ltree[])"
                " ON COMMIT DROP"
            )
        )
        session.execute(sa.text("TRUNCATE moved"))
        copy_rows(session, "moved", ("id", "leaf", "owner", "paths"), moved)
        session.execute(
            sa.text(
                "UPDATE building SET leaf = m.leaf, owner = m.owner, paths = m.paths"
                " FROM moved m WHERE building.id = m.id"
            )
        )
        _count_change(session, {code: count for code, count in change.items() if any(count)})
    return len(moved)


def _count_change(session: Writer, change: Mapping[str, Sequence[int]]) -> None:
    """Adds to, and takes from, the counts of areas; who holds no building any more has none."""
    if not change:
        return
    session.execute(
        sa.text(
            "INSERT INTO household_count AS h (code, households, buildings)"
            " SELECT * FROM unnest(CAST(:codes AS text[]), CAST(:households AS integer[]),"
            " CAST(:buildings AS integer[])) ON CONFLICT (code) DO UPDATE SET"
            " households = h.households + excluded.households, buildings = h.buildings + excluded.buildings"
        ),
        {
            "codes": list(change),
            "households": [count[0] for count in change.values()],
            "buildings": [count[1] for count in change.values()],
        },
    )
    session.execute(
        sa.text("DELETE FROM household_count WHERE code = ANY(:codes) AND buildings <= 0"),
        {"codes": list(change)},
    )
    _tell_households(session)


def count_households(session: Writer) -> None:
    """Counts households and buildings of every area anew, from the living buildings."""
    session.execute(sa.text("DELETE FROM household_count"))
    session.execute(
        sa.text(
            "INSERT INTO household_count (code, households, buildings)"
            " SELECT code, sum(households), sum(buildings) FROM ("
            "   SELECT paths, sum(households) AS households, count(*) AS buildings FROM building"
            "   WHERE valid_to IS NULL GROUP BY paths"
            " ) AS held, LATERAL (SELECT DISTINCT regexp_split_to_table(path::text, '[.]') AS code"
            "   FROM unnest(held.paths) AS path) AS codes GROUP BY code"
        )
    )
    _tell_households(session)


def _tell_households(session: Writer) -> None:
    session.execute(sa.text("INSERT INTO change_log (topic) VALUES ('households')"))
    session.execute(sa.text("NOTIFY gridmap, 'households'"))
