"""Hexagons by H3: parents by bit arithmetic, also inside SQL, and outlines.

A cell is a 64-bit number: mode, resolution in bits 52 to 55, base cell, then fifteen digits of three bits, those
below its resolution all ones. Its parent has a smaller resolution and more ones, so that the database can
group by parent without H3. Events carry their cell at resolution 12 as a signed bigint (the top bit is never set).

H3's hexagons nest by number, not exactly on the ground: an event within a few metres of an edge may count for the
hexagon beside the one that is drawn around it.
"""

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray

from gridmap.errors import InvalidInput

STORED_RESOLUTION = 12
COARSEST, FINEST, DEFAULT = 5, 11, 9
_RESOLUTION_BITS = 0xF << 52


def check_resolution(res: int) -> int:
    """The resolution itself.

    Raises:
        InvalidInput: it is not among those that are offered (`bad_resolution`).
    """
    if not COARSEST <= res <= FINEST:
        raise InvalidInput(
            f"res={res}: hexagons from {COARSEST} (about 8 km across) to {FINEST} (about 50 m)",
            code="bad_resolution",
            findings=[{"field": "res", "value": res, "message": f"{COARSEST} to {FINEST}"}],
        )
    return res


def masks(res: int) -> tuple[int, int]:
    """What to AND and then to OR a stored cell with to get its parent at a resolution."""
    ones = (1 << 3 * (15 - res)) - 1
    return ~_RESOLUTION_BITS, (res << 52) | ones


def parent_sql(column: str, res: int) -> str:
    """SQL for the parent of a cell; the numbers are constants, so that the planner sees one expression."""
    keep, put = masks(check_resolution(res))
    return f"(({column} & ({keep}::bigint)) | {put}::bigint)"


def parents(cells: ArrayLike, res: int) -> NDArray[np.int64]:
    """Parents at a resolution of cells that are at least as fine."""
    keep, put = masks(res)
    parent: NDArray[np.int64] = (np.asarray(cells, dtype=np.int64) & np.int64(keep)) | np.int64(put)
    return parent


def names(cells: ArrayLike) -> NDArray[np.object_]:
    """Cells as H3 writes them, in hexadecimal digits."""
    given = np.asarray(cells, dtype=np.int64)
    named = np.empty(given.shape, dtype=object)
    named[:] = [format(cell, "x") for cell in given.tolist()]
    return named


def outlines(cells: ArrayLike) -> NDArray[np.object_]:
    """Polygons of cells: shapely, EPSG:4326, counter-clockwise; a pentagon has its five corners.

    A cell that crosses the 180th meridian comes out with longitudes beyond 180, not torn apart.
    """
    import h3.api.basic_int as h3  # noqa: PLC0415  # only who draws hexagons needs the library

    shapes = []
    for cell in np.asarray(cells, dtype=np.int64).tolist():
        ring = np.array(h3.cell_to_boundary(cell))[:, ::-1]
        if np.ptp(ring[:, 0]) > 180:
            ring[ring[:, 0] < 0, 0] += 360
        shapes.append(shapely.Polygon(ring))
    drawn = np.empty(len(shapes), dtype=object)
    drawn[:] = shapes
    return drawn


def filling(geometries: NDArray[np.object_], res: int, most: int) -> NDArray[np.int64] | None:
    """Cells that touch polygons, ascending; None where these would be more than `most`.

    Args:
        geometries: shapely polygons, EPSG:4326.
        res: H3 resolution.
        most: how many are worth listing.
    """
    import h3.api.basic_int as h3  # noqa: PLC0415  # as above

    from gridmap.crs import area_m2  # noqa: PLC0415

    if area_m2(geometries).sum() / h3.average_hexagon_area(res, unit="m^2") > most:
        return None
    found: set[int] = set()
    for shape in geometries:
        found |= set(h3.polygon_to_cells_experimental(h3.geo_to_h3shape(shape), res, contain="overlap"))
    return np.array(sorted(found), dtype=np.int64)


def centres(cells: ArrayLike) -> NDArray[np.float64]:
    """Middles of cells: longitude and latitude in WGS-84 degrees, shape (n, 2)."""
    import h3.api.basic_int as h3  # noqa: PLC0415  # as above

    places = [h3.cell_to_latlng(cell) for cell in np.asarray(cells, dtype=np.int64).tolist()]
    return np.array(places, dtype=np.float64).reshape(-1, 2)[:, ::-1]
