"""Single polygons: valid, of one piece, and wide enough to be meant."""

import numpy as np
import shapely
from numpy.typing import NDArray

from boundaries import repair, topology
from boundaries.check_areas import Areas
from boundaries.check_findings import Examination, Where, in_m, in_m2, mean_width_m, place_in, polygonal
from gridmap import crs
from gridmap.index import GRIDS

Shapes = NDArray[np.object_]
SLIVER_M = 2.0
DEGREE_M = 112_000.0
WORLD = np.array([180.0, 90.0])
SOLID = (shapely.GeometryType.POLYGON, shapely.GeometryType.MULTIPOLYGON)


def sound_shapes(report: Examination, areas: Areas) -> tuple[Shapes, NDArray[np.bool_]]:
    """Valid polygons of the areas, invalid ones reported and repaired.

    Args:
        report: takes the findings.
        areas: as they came.

    Returns:
        Polygons and MultiPolygons, None where nothing can be used; and which were repaired.
    """
    geom = np.asarray(shapely.force_2d(areas.geom), dtype=object)
    repaired = np.zeros(len(geom), dtype=bool)
    for at, (reason, where) in _unusable(areas, geom).items():
        geom[at] = None
        message = f"{areas.named(at)} 图形无法使用，未参与其余检查 cannot be used and takes no part: {reason}"
        report.add("invalid", areas.code[at], message, where=where)
    flaws = topology.flaws(geom)
    broken = np.array(sorted(flaws), dtype=np.int64)
    mended = repair.make_valid(geom[broken])
    for at, shape, changed, widened in zip(
        broken.tolist(), mended.polygons, mended.changed_m2.tolist(), mended.widened.tolist(), strict=True
    ):
        # a band round what has no area would overlap its neighbours: nothing that stands in the file
        usable = shape is not None and not widened
        how = f"修复后面积差 {in_m2(changed)} repaired for the other checks, by {in_m2(changed)}"
        if not usable:
            how = "没有面积 without area, it takes no part in the other checks"
        where = flaws[at].where or _first_place(geom[at])
        message = f"{areas.named(at)} {flaws[at].reason}；{how}"
        report.add(
            "invalid", areas.code[at], message, where=where,
            measure=changed if usable else None, unit="m2" if usable else None,
        )  # fmt: skip
        geom[at] = shape if usable else None
        repaired[at] = usable
    return geom, repaired


def _unusable(areas: Areas, geom: Shapes) -> dict[int, tuple[str, Where | None]]:
    found: dict[int, tuple[str, Where | None]] = {}
    kinds = shapely.get_type_id(geom)
    bare = shapely.is_missing(geom) | shapely.is_empty(geom)
    for at in np.flatnonzero(bare).tolist():
        found[at] = areas.flaws.get(at, "it has no geometry"), None
    for at in np.flatnonzero(~bare & ~np.isin(kinds, SOLID)).tolist():
        found[at] = f"it is a {geom[at].geom_type}, needed is a polygon", _first_place(geom[at])
    xy, which = shapely.get_coordinates(geom, return_index=True)
    good: NDArray[np.bool_] = np.asarray(np.isfinite(xy).all(axis=1))
    for at in np.unique(which[~good]).tolist():
        found[at] = "a coordinate is NaN or infinite", _first_place(geom[at])
    beyond = good & (np.abs(np.where(good[:, None], xy, 0.0)) > WORLD).any(axis=1)
    for at in np.unique(which[beyond]).tolist():
        reason = "longitude must lie in -180..180 and latitude in -90..90"
        found.setdefault(at, (f"{reason}; is the reference system right, and longitude first?", None))
    return found


def _first_place(shape: shapely.Geometry) -> Where | None:
    xy = shapely.get_coordinates(shape)
    good = np.flatnonzero(np.isfinite(xy).all(axis=1))
    return (float(xy[good[0], 0]), float(xy[good[0], 1])) if len(good) else None


def add_pieces(
    report: Examination, areas: Areas, geom: Shapes, repaired: NDArray[np.bool_], sliver_m: float
) -> None:
    """Reports grids of several pieces, and pieces that are hardly wider than a line.

    Jurisdictions and overlays may consist of several pieces: islands, exclaves. What a repair tore apart was
    reported as invalid already.

    Args:
        report: takes the findings.
        areas: under check.
        geom: their sound polygons.
        repaired: which of them are not as they came.
        sliver_m: least mean width in metres.
    """
    as_they_came = geom.copy()
    as_they_came[repaired] = None
    parts, of_area = polygonal(as_they_came)
    sizes = crs.area_m2(parts)
    number = np.bincount(of_area, minlength=len(geom))
    for at in np.flatnonzero(number > 1).tolist():
        if areas.kind[at] not in GRIDS:
            continue
        own = np.flatnonzero(of_area == at)
        lesser = own[np.arange(len(own)) != np.argmax(sizes[own])]
        away = float(sizes[lesser].sum())
        if report.is_noise("not_contiguous", away):
            continue
        message = (
            f"{areas.named(at)} 由 {len(own)} 块组成，主块之外 {in_m2(away)}"
            f" consists of {len(own)} pieces, {in_m2(away)} apart from the largest"
        )
        where = place_in(parts[lesser[np.argmax(sizes[lesser])]])
        report.add("not_contiguous", areas.code[at], message, where=where, measure=away, unit="m2")
    _add_slivers(report, areas, (parts, of_area, sizes), sliver_m)


def _add_slivers(
    report: Examination,
    areas: Areas,
    pieces: tuple[Shapes, NDArray[np.intp], NDArray[np.float64]],
    least: float,
) -> None:
    parts, of_area, sizes = pieces
    # a degree is at most 112 km long, so most parts are wide enough whatever way their borders run; true
    # lengths of all of them would take as long as the whole check
    doubtful = np.flatnonzero(2.0 * sizes < least * DEGREE_M * shapely.length(parts))
    widths = np.full(len(parts), np.inf)
    widths[doubtful] = mean_width_m(parts[doubtful], sizes[doubtful])
    thin = np.flatnonzero(widths < least)
    for at in np.unique(of_area[thin]).tolist():
        own = thin[of_area[thin] == at]
        widest = own[np.argmax(sizes[own])]
        size = float(sizes[own].sum())
        message = (
            f"{areas.named(at)} 有 {len(own)} 块碎面，{in_m2(size)}，平均宽 {in_m(widths[widest])}"
            f" has {len(own)} sliver{'s' if len(own) > 1 else ''} of {in_m2(size)},"
            f" {in_m(widths[widest])} wide on average; {least:g} m is the least"
        )
        report.add("sliver", areas.code[at], message, where=place_in(parts[widest]), measure=size, unit="m2")
