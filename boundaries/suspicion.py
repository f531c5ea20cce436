"""Coordinates that are possible but probably not meant: swapped axes, another reference system."""

import numpy as np
import shapely
from numpy.typing import NDArray

from boundaries.places import Places, System
from boundaries.values import Rows
from gridmap import crs
from gridmap.errors import InvalidInput
from gridmap.snapshot import NESTING, Snapshot

SAMPLE = 20_000
SAMPLE_OF_CHUNK = 5_000


def refuse_swapped(
    rows: Rows,
    snapshot: Snapshot,
    lon: NDArray[np.float64],
    lat: NDArray[np.float64],
    outside: NDArray[np.intp],
) -> list[int]:
    """Refuses rows that lie in no area as they are, but in one with their axes swapped.

    Args:
        rows: under check.
        snapshot: the edition in force.
        lon: longitudes of the whole chunk, NaN without a place.
        lat: latitudes.
        outside: places in the chunk that no area holds.

    Returns:
        the rows' numbers in the file.
    """
    outside = outside[np.isfinite(lon[outside]) & rows.good[outside]]
    if not len(outside):
        return []
    found = snapshot.index.locate(lat[outside], lon[outside], 0.0)
    refused = outside[np.asarray(found.method != "none")].tolist()
    for place in refused:
        message = "no area holds it, but one does with the axes swapped; longitude comes first"
        value = f"{lon[place]:.9g}, {lat[place]:.9g}"
        where = (float(lat[place]), float(lon[place]))
        rows.refuse(place, "swapped_axes", message, field="geometry", value=value, where=where)
    return [int(rows.chunk.rows[place]) for place in refused]


def of_areas(
    geom: NDArray[np.object_], parents: NDArray[np.int64], snapshot: Snapshot, system: System
) -> str | None:
    """One sentence where areas look shifted against the parents that they state; None otherwise.

    Args:
        geom: polygons in EPSG:4326.
        parents: row of each one's parent in the snapshot, -1 without.
        snapshot: what is stored.
        system: the reference system that the polygons are said to be in; only plain ones can be mistaken.
    """
    known = np.flatnonzero(parents >= 0)
    if not len(known) or not system.is_wgs84:
        return None
    corners, which = shapely.get_coordinates(geom[known], return_index=True)
    chosen = np.unique(np.linspace(0, len(corners) - 1, SAMPLE).astype(np.intp))
    stated = parents[known][which[chosen]]
    answer = crs.suspect(corners[chosen, 0], corners[chosen, 1], snapshot.geom, stated, crs=system.name)
    return answer.message if answer.suspicious else None


class Suspicion:
    """Keeps a sample of points and says whether they look like another reference system's.

    Args:
        snapshot: areas into which the points should fall.
        system: the reference system that they are said to be in.
    """

    def __init__(self, snapshot: Snapshot, system: System) -> None:
        self._snapshot, self._system = snapshot, system
        self._x: list[NDArray[np.float64]] = []
        self._y: list[NDArray[np.float64]] = []
        self._stated: list[NDArray[np.int64]] = []
        self._count = 0

    def add(self, places: Places, stated: NDArray[np.int64] | None = None) -> None:
        """Takes some points into the sample, as they came.

        Args:
            places: of a chunk.
            stated: row of the area that each states, -1 without.
        """
        if self._count >= SAMPLE or not len(self._snapshot):
            return
        chosen = np.flatnonzero(np.isfinite(places.x))
        if not len(chosen):
            return
        chosen = chosen[np.unique(np.linspace(0, len(chosen) - 1, SAMPLE_OF_CHUNK).astype(np.intp))]
        self._x.append(places.x[chosen])
        self._y.append(places.y[chosen])
        self._stated.append(np.full(len(chosen), -1) if stated is None else stated[chosen])
        self._count += len(chosen)

    def message(self) -> str | None:
        """One sentence where another reading fits clearly better; None otherwise."""
        if not self._count:
            return None
        x, y, stated = (np.concatenate(each) for each in (self._x, self._y, self._stated))
        try:
            given = crs.normalise(self._system.name)
        except InvalidInput:  # a system without a number: the points are looked at as they were converted
            x, y = self._system.to_wgs84(x.astype(np.float64), y.astype(np.float64))
            given = "wgs84"
        named = stated >= 0
        if named.any():
            answer = crs.suspect(x[named], y[named], self._snapshot.geom, stated[named], crs=given)
        else:
            answer = crs.suspect(x, y, self._widest(), crs=given)
        return answer.message if answer.suspicious else None

    def _widest(self) -> NDArray[np.object_]:
        """Areas of the widest kind: where their outline ends, places of the county end."""
        for kind in NESTING:
            rows = self._snapshot.rows_of(kind)
            if len(rows):
                widest: NDArray[np.object_] = self._snapshot.geom[rows]
                return widest
        return self._snapshot.geom
