"""Tiles of what is in the database: buildings, streets, events. Cut by PostGIS, the area condition in every one."""

import numpy as np
import sqlalchemy as sa
from sqlalchemy.orm import Session

from gridmap.access import Principal, Scope
from gridmap.event_queries import Clauses, EventFilter, clauses
from gridmap.snapshot import Snapshot
from layers import hexes, mvt
from layers.mvt import BUFFER, EXTENT
from layers.tile_grid import TileAddress, world

BUILDINGS_FROM = 14
EVENTS_APART_FROM = 12  # below, events of the same place are one point with their number
MOST_EVENTS_APART = 5_000

# From which zoom on a class of street is worth drawing.
STREETS_FROM = {"river": 8, "motorway": 8, "railway": 9, "main": 10, "street": 12, "lane": 13, "path": 14}

# The envelope in degrees, a buffer around it, for the spatial index; then the cut itself in Web Mercator.
_BOX = "ST_Transform(ST_TileEnvelope(:z, :x, :y, margin => {margin}), 4326)"
_CUT = "ST_AsMVTGeom(ST_Transform({geom}, 3857), ST_TileEnvelope(:z, :x, :y), {extent}, {buffer}, true)"


def _box() -> str:
    return _BOX.format(margin=BUFFER / EXTENT)


def _cut(geom: str) -> str:
    return _CUT.format(geom=geom, extent=EXTENT, buffer=BUFFER)


def _tile(session: Session, layer: str, rows: str, binds: dict[str, object]) -> bytes:
    # Rows come in an order of their own: as a table is read by several workers, or from where another reader is, the
    # same tile would be other bytes each time, with another tag.
    statement = f"SELECT ST_AsMVT(t, :layer, {EXTENT}, 'geom') FROM ({rows}) t WHERE geom IS NOT NULL"
    content = session.execute(sa.text(statement), {**binds, "layer": layer}).scalar_one()
    return bytes(content) if content else b""


def _place(address: TileAddress) -> dict[str, object]:
    return {"z": address.z, "x": address.x, "y": address.y}


def buildings(session: Session, address: TileAddress, principal: Principal) -> bytes:
    """The layer `buildings` from zoom 14: code, name, kind; for those who plan households, and `added_in`.

    The latter is the edition in force when a building was added, and is left out where it came with the first load.
    """
    if address.z < BUILDINGS_FROM:
        return b""
    seen, binds = principal.scope("areas").condition("paths")
    counted, more = principal.scope("households").condition("paths", "counted")
    rows = (
        f"SELECT {_cut('geom')} AS geom, code, name, kind, CASE WHEN {counted} THEN households END AS households,"
        f" CASE WHEN {counted} THEN added_in END AS added_in FROM building WHERE geom && {_box()} AND {seen}"
        " AND valid_from <= current_date AND (valid_to IS NULL OR valid_to > current_date) ORDER BY id"
    )
    return _tile(session, "buildings", rows, {**binds, **more, **_place(address)})


def streets(session: Session, address: TileAddress, scope: Scope, snapshot: Snapshot) -> bytes:
    """The layer `streets`: class and name; the more, the nearer. Only what touches the areas that may be seen."""
    classes = [name for name, zoom in STREETS_FROM.items() if zoom <= address.z]
    if not classes or not scope:
        return b""
    seen, binds = "TRUE", {}
    if scope.paths is not None:
        # Streets carry no paths: they belong to whom they touch.
        seen = (
            "EXISTS (SELECT FROM area WHERE path = ANY(CAST(:scope AS ltree[])) AND edition_from <= :edition"
            " AND (edition_to IS NULL OR edition_to > :edition) AND ST_Intersects(area.geom, street.geom))"
        )
        binds = {"scope": list(scope.paths), "edition": snapshot.edition}
    rows = (
        f"SELECT {_cut('geom')} AS geom, class, name FROM street"
        f" WHERE geom && {_box()} AND class = ANY(:classes) AND {seen} ORDER BY id"
    )
    return _tile(session, "streets", rows, {**binds, **_place(address), "classes": classes})


def events(
    session: Session, address: TileAddress, snapshot: Snapshot, principal: Principal, asked: EventFilter
) -> bytes:
    """The layer `events`: points with id, category, status, urgency and count 1.

    From far away, or where more than 5,000 lie in a tile, events near each other are one point with their number
    in `count` and nothing else. Every event counts for one point of one tile, so numbers add up.
    """
    where, binds = clauses(asked, snapshot, principal)
    if address.z >= EVENTS_APART_FROM:
        condition = f"{' AND '.join(where)} AND e.geom && {_box()}"
        number = session.execute(
            sa.text(
                f"SELECT count(*) FROM (SELECT FROM event e WHERE {condition} LIMIT {MOST_EVENTS_APART + 1}) t"
            ),
            {**binds, **_place(address)},
        ).scalar_one()
        if number <= MOST_EVENTS_APART:
            rows = (
                f"SELECT {_cut('e.geom')} AS geom, e.id, e.category, e.status, e.urgency, 1 AS count"
                f" FROM event e WHERE {condition} ORDER BY e.id"
            )
            return _tile(session, "events", rows, {**binds, **_place(address)})
    return _clusters(session, address, snapshot, (where, binds))


def _clusters(session: Session, address: TileAddress, snapshot: Snapshot, clauses_: Clauses) -> bytes:
    """Events by H3 cell, a point in its middle; a cell belongs to the tile in which its middle lies.

    By cells because the stored one answers from an index: cutting a million points takes ten times as long.
    """
    where, binds = [*clauses_[0], "e.cell IS NOT NULL"], dict(clauses_[1])
    res = round(5 + (address.z - 8) * 0.72)  # a cell is some 30 pixels wide
    res = min(max(res, hexes.COARSEST), hexes.FINEST)
    low_x, low_y, high_x, high_y = address.box(EXTENT / 4)  # cells reach over the tile's edge
    total = world(np.array([snapshot.bounds[:, :2].min(axis=0), snapshot.bounds[:, 2:].max(axis=0)]))
    if not (
        low_x <= total[0, 0] and total[1, 0] <= high_x and low_y <= total[1, 1] and total[0, 1] <= high_y
    ):
        where.append(f"e.geom && {_BOX.format(margin=0.25)}")
        binds |= _place(address)
    statement = (
        f"SELECT {hexes.parent_sql('e.cell', res)} AS parent, count(*) FROM event e"
        f" WHERE {' AND '.join(where)} GROUP BY 1 ORDER BY 1"
    )
    found = session.execute(sa.text(statement), binds).all()
    if not found:
        return b""
    place = address.within(world(hexes.centres([row[0] for row in found])))
    here = np.all((place >= 0) & (place < EXTENT), axis=1)
    counts = [row[1] for row, inside in zip(found, here.tolist(), strict=True) if inside]
    return mvt.points("events", place[here, 0], place[here, 1], {"count": counts})
