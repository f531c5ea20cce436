"""Areas as GeoJSON, their geometry written once per edition and reference system."""

from collections import OrderedDict
from threading import Lock
from typing import Any

import numpy as np
import orjson
import shapely
from numpy.typing import NDArray

from gridmap import crs as reference_systems
from gridmap.snapshot import Snapshot

KEPT = 3
_written: OrderedDict[tuple[int, int, str], NDArray[np.object_]] = OrderedDict()
_lock = Lock()


def geometry_json(snapshot: Snapshot, rows: NDArray[Any], crs: str = "wgs84") -> list[bytes]:
    """GeoJSON geometries of areas, full precision, longitude or easting first, in a reference system.

    Args:
        snapshot: the edition.
        rows: of the areas.
        crs: canonical name, as `gridmap.crs.normalise` gives it.
    """
    # The array of geometries outlives copies of the snapshot with newer household counts.
    key = (snapshot.edition, id(snapshot.geom), crs)
    with _lock:
        texts = _written.get(key)
        if texts is None:
            texts = _written[key] = np.full(len(snapshot), None, dtype=object)
        _written.move_to_end(key)
        while len(_written) > KEPT:
            _written.popitem(last=False)
    missing = [row for row in rows if texts[row] is None]
    if missing:
        shapes = snapshot.geom[missing]
        if crs != "wgs84":
            shapes = shapely.transform(shapes, lambda xy: _converted(xy, crs))
        for row, text in zip(missing, shapely.to_geojson(shapes), strict=True):
            texts[row] = text.encode()
    return [texts[row] for row in rows]


def _converted(xy: NDArray[np.float64], crs: str) -> NDArray[np.float64]:
    x, y = reference_systems.convert(xy[:, 0], xy[:, 1], "wgs84", crs)
    return np.column_stack([x, y])


def properties(snapshot: Snapshot, row: int) -> dict[str, Any]:
    """An area's properties as interface.md names them, and its box in WGS-84 degrees."""
    return {
        "code": snapshot.code[row],
        "name": snapshot.name[row],
        "kind": snapshot.kind[row],
        "setting": snapshot.setting[row],
        "parent": snapshot.parent[row],
        "path": snapshot.path[row],
        "households": int(snapshot.households[row]),
        "edition": snapshot.edition,
        "bbox": snapshot.bounds[row].tolist(),
    }


def area_features(
    snapshot: Snapshot, rows: NDArray[Any], *, crs: str, geometry: bool, following: str | None
) -> bytes:
    """A FeatureCollection of areas as JSON.

    Args:
        snapshot: the edition.
        rows: of the areas, in the order wanted.
        crs: of the coordinates.
        geometry: False leaves the geometry null.
        following: path of the next page.
    """
    shapes = geometry_json(snapshot, rows, crs) if geometry else [b"null"] * len(rows)
    features = [
        b'{"type":"Feature","properties":'
        + orjson.dumps(properties(snapshot, int(row)))
        + b',"geometry":'
        + shape
        + b"}"
        for row, shape in zip(rows, shapes, strict=True)
    ]
    return (
        b'{"type":"FeatureCollection","features":['
        + b",".join(features)
        + b'],"next":'
        + orjson.dumps(following)
        + b',"edition":'
        + orjson.dumps(snapshot.edition)
        + b"}"
    )
