"""Geometry of a chunk in WGS-84: from the file's shapes or from coordinate columns, checked row by row."""

import json
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import pyproj
import pyproj.exceptions
import shapely
from numpy.typing import NDArray

from boundaries.arrow import straight
from boundaries.fields import Mapped
from boundaries.read import Source
from boundaries.values import Rows
from boundaries.zones import likely, mistaken, swapped
from gridmap import crs
from gridmap.errors import InvalidInput

Shape = Literal["area", "line", "point", "building"]

# GEOS type numbers that may stand for each.
ALLOWED: Final = {
    "point": (0,),
    "line": (1, 5),
    "area": (3, 6),
    "building": (0, 3, 6),
}
NEEDED: Final = {
    "point": "a point",
    "line": "a line",
    "area": "a polygon",
    "building": "a point or a polygon",
}
GEOMETRY: Final = "geometry"  # what findings call it, whichever columns it came from
MULTI: Final = (4, 6)  # GEOS' multipoint and multipolygon; one of a single part is that part

Floats = NDArray[np.float64]
Shapes = NDArray[np.object_]


@dataclass(frozen=True)
class System:
    """The reference system in which a file's coordinates are read.

    Attributes:
        name: as it is stored with an event: `wgs84`, `gcj02`, `EPSG:n`, `ESRI:n`, or the system's own name.
        definition: what pyproj reads, where gridmap's own names do not cover it.
    """

    name: str
    definition: str | None = None

    @property
    def is_wgs84(self) -> bool:
        """Whether nothing has to be converted."""
        return self.definition is None and self.name in {"wgs84", "cgcs2000"}

    @property
    def is_degrees(self) -> bool:
        """Whether coordinates are longitude and latitude."""
        if self.definition is None and not self.name.startswith("EPSG:"):
            return True
        return bool(pyproj.CRS(self.definition or self.name).is_geographic)

    def to_wgs84(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """Longitude and latitude in degrees; NaN where there is no such place."""
        if self.is_wgs84:
            return x, y
        if self.definition is None:
            lon, lat = crs.convert(x, y, self.name, "wgs84")
        else:
            pyproj.network.set_network_enabled(active=False)  # type: ignore[attr-defined]  # not re-exported
            transformer = pyproj.Transformer.from_crs(self.definition, "EPSG:4326", always_xy=True)
            lon, lat = transformer.transform(x, y)
        return np.asarray(lon, dtype=np.float64), np.asarray(lat, dtype=np.float64)


def system_of(source: Source, chosen: str | None, mapped: Mapped) -> System:
    """The reference system of a file: chosen by the caller, its own, or WGS-84.

    What was assumed is noted on the source.

    Raises:
        InvalidInput: the chosen one is unknown, or the file's own cannot be used.
    """
    if chosen is not None:
        return System(crs.normalise(chosen))
    if source.crs is not None:
        return _own(source.crs, source.path.name)
    if source.has_geometry or "x" in mapped or "wkt" in mapped:
        source.notes.append("the file names no reference system: WGS-84 assumed; say otherwise with --crs")
    return System("wgs84")


def _own(text: str, file: str) -> System:
    try:
        return System(crs.normalise(text))
    except InvalidInput:
        pass
    try:
        system = pyproj.CRS(json.loads(text) if text.startswith("{") else text)
    except (pyproj.exceptions.CRSError, ValueError) as error:
        raise InvalidInput(
            f"{file}: its reference system cannot be read; name it with --crs, for example --crs EPSG:4490",
            code="unknown_crs",
        ) from error
    if len(system.axis_info) < 2 or not (system.is_projected or system.is_geographic):
        raise InvalidInput(
            f"{file}: its reference system ({system.name}) is neither projected nor geographic;"
            " name the right one with --crs",
            code="unknown_crs",
        )
    exact = system.to_authority(min_confidence=100)
    if exact is not None and exact[0] in {"EPSG", "OGC"}:
        return System(crs.normalise(":".join(exact)))
    # The likely name is good enough to tell people; the numbers follow the definition in the file.
    likely = exact or system.to_authority()
    return System(":".join(likely) if likely else system.name, system.to_wkt())


@dataclass(frozen=True)
class Places:
    """Where the rows of a chunk are.

    Attributes:
        geom: shapely geometries in EPSG:4326, two-dimensional; None where a row has no place.
        x, y: coordinates as they came, of points; NaN otherwise.
    """

    geom: Shapes
    x: Floats
    y: Floats


@np.errstate(invalid="ignore")  # NaN in a file is refused with its row; numpy need not warn besides
def place(rows: Rows, system: System, shape: Shape, *, required: bool = True) -> Places:
    """Geometry of a chunk in EPSG:4326; rows whose geometry is missing, broken or impossible are refused.

    Args:
        rows: under check.
        system: in which the coordinates are read.
        shape: what is needed.
        required: whether a row without any geometry is refused.
    """
    own = _own_shapes(rows, required=required)
    present = rows.good & ~shapely.is_missing(own) & ~shapely.is_empty(own)
    _check_presence(rows, own, required=required)
    kinds = shapely.get_type_id(own)
    single = np.isin(kinds, MULTI) & (shapely.get_num_geometries(own) == 1)
    if shape in {"point", "building"} and single.any():
        own[single] = shapely.get_geometry(own[single], 0)
        kinds = shapely.get_type_id(own)
    for index in np.flatnonzero(present & ~np.isin(kinds, ALLOWED[shape])):
        found = own[index].geom_type
        rows.refuse(int(index), "wrong_geometry", f"is a {found}; needed is {NEEDED[shape]}", field=GEOMETRY)
    _check_finite(rows, own, system)
    usable = present & rows.good
    own[usable] = shapely.force_2d(own[usable])
    geom = _converted(own, system, usable)
    _check_range(rows, own, geom, system, usable)
    geom[~rows.good] = None
    points = kinds == 0
    x = np.full(len(rows), np.nan)
    y = np.full(len(rows), np.nan)
    if points.any():
        x[points], y[points] = shapely.get_x(own[points]), shapely.get_y(own[points])
    return Places(geom, x, y)


def _own_shapes(rows: Rows, *, required: bool) -> Shapes:
    """Shapes as the file has them: its geometry, a column of WKT, or two columns of coordinates."""
    if rows.chunk.geometry is not None:
        return rows.chunk.geometry.copy()
    nothing = [None] * len(rows)
    if "wkt" in rows.mapped:
        return _from_wkt(rows, rows.raw("wkt") or nothing)
    return _from_columns(rows, rows.raw("x") or nothing, rows.raw("y") or nothing, required=required)


def _from_wkt(rows: Rows, values: list[Any]) -> Shapes:
    texts = np.array([None if value is None else str(value) for value in values], dtype=object)
    shapes = straight(shapely.from_wkt, texts)
    for index in np.flatnonzero(shapely.is_missing(shapes)):
        if texts[index]:
            message = (
                "is no WKT such as POINT (116.4 39.9), a ring is not closed, or arcs are not drawn as lines"
            )
            rows.refuse(int(index), "bad_geometry", message, field="wkt", value=texts[index])
    return shapes


def _from_columns(rows: Rows, xs: list[Any], ys: list[Any], *, required: bool) -> Shapes:
    x, bad_x = _numbers(xs)
    y, bad_y = _numbers(ys)
    for field, values, numbers, bad in (("x", xs, x, bad_x), ("y", ys, y, bad_y)):
        for index in np.flatnonzero(bad):
            rows.refuse(int(index), "bad_value", "no number", field=field, value=values[index])
        for index in np.flatnonzero(~bad & ~np.isfinite(numbers)):
            if values[index] is not None:
                message = "not a finite number; leave it empty where the place is not known"
                rows.refuse(int(index), "not_finite", message, field=field, value=values[index])
    for row, pair in enumerate(zip(xs, ys, strict=True)):
        if (pair[0] is None) != (pair[1] is None):
            field = "x" if pair[0] is None else "y"
            rows.refuse(row, "missing", "one coordinate without the other", field=field)
        elif pair[0] is None and required and rows.good[row]:
            rows.refuse(row, "missing", "no coordinates", field="x")
    shapes = np.full(len(xs), None, dtype=object)
    usable = np.isfinite(x) & np.isfinite(y)
    shapes[usable] = shapely.points(x[usable], y[usable])
    return shapes


def _numbers(values: list[Any]) -> tuple[Floats, NDArray[np.bool_]]:
    """Values as floats, NaN where there is none, and which are no numbers at all."""
    try:
        return np.array([np.nan if v is None else v for v in values], dtype=np.float64), np.zeros(
            len(values), dtype=bool
        )
    except (TypeError, ValueError):
        pass
    numbers = np.full(len(values), np.nan)
    bad = np.zeros(len(values), dtype=bool)
    for index, value in enumerate(values):
        try:
            numbers[index] = np.nan if value is None else float(value)
        except (TypeError, ValueError):
            bad[index] = True
    return numbers, bad


def _check_presence(rows: Rows, own: Shapes, *, required: bool) -> None:
    if not required and rows.chunk.geometry is None:
        return
    for index in np.flatnonzero(rows.good & (shapely.is_missing(own) | shapely.is_empty(own))):
        if required:
            rows.refuse(
                int(index),
                "no_geometry",
                "has no geometry, or one that cannot be read (arcs: save them as lines)",
                field=GEOMETRY,
            )


def _converted(own: Shapes, system: System, usable: NDArray[np.bool_]) -> Shapes:
    """Shapes in WGS-84; None where a coordinate is of no place: GEOS closes no ring that begins with NaN."""
    coordinates, which = shapely.get_coordinates(own[usable], return_index=True)
    lon, lat = system.to_wgs84(coordinates[:, 0], coordinates[:, 1])
    numbers = np.flatnonzero(usable)
    nowhere = ~(np.isfinite(lon) & np.isfinite(lat))
    somewhere = np.setdiff1d(numbers, numbers[which[nowhere]])
    kept = np.isin(numbers[which], somewhere)
    geom = np.full(len(own), None, dtype=object)
    geom[somewhere] = shapely.set_coordinates(own[somewhere], np.column_stack([lon, lat])[kept])
    return geom


def _check_finite(rows: Rows, own: Shapes, system: System) -> None:
    """Refuses coordinates that are none; bounds pass over NaN, so they are looked at one by one."""
    coordinates, which = shapely.get_coordinates(own, return_index=True)
    broken = which[~np.isfinite(coordinates).all(axis=1)]
    for index in np.unique(broken).tolist():
        if rows.good[index]:
            _refuse_range(rows, index, "not_finite", system, own)


def _check_range(rows: Rows, own: Shapes, geom: Shapes, system: System, usable: NDArray[np.bool_]) -> None:
    """Refuses coordinates that lie outside the world; says where axes look swapped."""
    for index in np.flatnonzero(usable & shapely.is_missing(geom)).tolist():
        _refuse_range(rows, index, "out_of_range", system, own)
    for index in np.flatnonzero(
        usable & rows.good & mistaken(shapely.bounds(own)[:, 0], system.name)
    ).tolist():
        _refuse_range(rows, index, "out_of_range", system, own)
    bounds = shapely.bounds(geom)
    outside = usable & rows.good & ~(np.abs(bounds) <= np.array([180.0, 90.0, 180.0, 90.0])).all(axis=1)
    for index in np.flatnonzero(outside).tolist():
        west, south, east, north = bounds[index]
        if system.is_degrees and max(abs(west), abs(east)) <= 90 and max(abs(south), abs(north)) <= 180:
            message = "latitude is beyond 90: longitude and latitude look swapped; longitude comes first"
            rows.refuse(int(index), "swapped_axes", message, field=GEOMETRY, value=_first(own[index]))
        else:
            _refuse_range(rows, index, "out_of_range", system, own)


def _refuse_range(rows: Rows, index: int, code: str, system: System, own: Shapes) -> None:
    message = _range_message(code, system, own[index])
    x, y = shapely.get_coordinates(own[index])[0].tolist()
    if code == "out_of_range" and swapped(x, y, system.name):
        code = "swapped_axes"
        message = f"northing and easting look swapped: in {system.name} the easting comes first"
    rows.refuse(index, code, message, field=GEOMETRY, value=_first(own[index]))


def _range_message(code: str, system: System, shape: shapely.Geometry) -> str:
    if code == "not_finite":
        return "a coordinate is NaN or infinite"
    better = likely(float(shapely.get_coordinates(shape)[0, 0]), system.name)
    if system.is_degrees:
        return (
            "longitude must lie in -180..180 and latitude in -90..90;"
            f" for metres name the reference system, for example --crs {better or 'EPSG:4547'}"
        )
    rather = f"; the eastings look like {better}: --crs {better}" if better else "; is --crs right?"
    return f"lies outside of what {system.name} covers{rather}"


def _first(shape: shapely.Geometry) -> str:
    x, y = shapely.get_coordinates(shape)[0]
    return f"{x:.9g}, {y:.9g}"
