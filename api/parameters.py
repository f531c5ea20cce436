"""What parameters mean that go by one name on many routes: said once, for the OpenAPI description."""

from typing import Any, Final

__all__ = ["describe_parameters"]

_MEANING: Final = {
    "area": "Code of an area: what belongs to it, or to what lies in it.",
    "at": "By the boundaries in force at this moment (RFC 3339, or a date: its midnight here); not with `edition`.",
    "bbox": "west,south,east,north in degrees of `crs`: what touches it.",
    "boundaries": "`today`: counted in the grids of now; `then`: in those that held an event's place when it occurred.",
    "category": "One or several, comma-separated: dispute, police_case, appeal, hazard, service, other.",
    "code": "Code of an area, also of one that is retired.",
    "compare": "What `change` is measured against: `year`, the same days of last year; `previous`, as many before.",
    "crs": "Reference system of coordinates: wgs84, cgcs2000, gcj02, bd09 or EPSG:n.",
    "cursor": "Where the next page begins: as the last page's `next` has it.",
    "edition": "By the boundaries of this edition; not with `at`.",
    "event": "Number of an event.",
    "geometry": "With `false` values alone, without polygons.",
    "height": "Of the picture, in pixels.",
    "kind": "Kinds of area, comma-separated.",
    "lat": "Latitude of the place in degrees (northing in metres for a projected `crs`).",
    "layer": "areas, grids, buildings, streets, events or heat.",
    "limit": "Entries a page; a larger one than allowed is clamped.",
    "lon": "Longitude of the place in degrees (easting in metres for a projected `crs`).",
    "measure": "`count`; `per_100_households`; `change` against `compare`; `hotspot`, the Gi* of Getis and Ord with p.",
    "name": "Name of an account, as it signs in.",
    "overdue": "`true`: those past a due time that still runs; `false`: the others.",
    "plan": "Number of a plan.",
    "q": "What is looked for: a name, a code, an address or the number of an event.",
    "radius_m": "Metres around `near`.",
    "sort": "`time`, newest first; `due`, what is due first; `near`, the nearest to `near` first.",
    "status": "One or several states, comma-separated.",
    "subcategory": "One or several sub-categories, comma-separated.",
    "unit": "Number of a unit: events that it has.",
    "width": "Of the picture, in pixels.",
    "within": "Code of an area: areas that lie in it.",
    "worker": "Number of a worker: events that they have.",
    "x": "Column of the tile, from the west.",
    "y": "Row of the tile, from the north.",
    "z": "Zoom of the tile.",
}
# Where a name means something of its own.
_BY: Final = "`grid`, areas of `kind`; `hex`, hexagons of H3 at `res`."
_HERE: Final = {
    ("/api/indicators", "by"): "`children`: also for each area beneath; `day` or `month`: as a series.",
    ("/api/locate", "category"): "Of the event that would be there: who it would go to follows it.",
    ("/api/locate", "crs"): "Reference system of `lon` and `lat`: wgs84, cgcs2000, gcj02, bd09 or EPSG:n.",
    ("/api/heat", "by"): _BY,
    ("/api/heat/map", "by"): _BY,
    ("/api/heat/map.png", "by"): _BY,
    ("/api/tiles/{layer}/{z}/{x}/{y}.mvt", "by"): f"Of heat: {_BY}",
    ("/api/stream", "area"): "Code of an area: only what happens in it.",
}


def describe_parameters(path: str, operation: dict[str, Any]) -> None:
    """Adds their meaning to parameters of an operation that say none.

    Args:
        path: of the operation, as in the description.
        operation: of the description; changed in place.
    """
    for parameter in operation.get("parameters", ()):
        said = parameter.get("description") or parameter.get("schema", {}).get("description")
        meaning = said or _HERE.get((path, parameter["name"])) or _MEANING.get(parameter["name"])
        if meaning:
            parameter["description"] = meaning
