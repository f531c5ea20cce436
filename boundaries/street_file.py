"""Files of streets, rivers and railways on their way in."""

from collections.abc import Mapping
from typing import Final

import numpy as np
import shapely

from boundaries.job import Job, Summary
from boundaries.places import place
from gridmap.db import Writer
from gridmap.streets import CLASSES, StreetDrafts, StreetLoad

DEFAULT_CLASS: Final = "street"
# OpenStreetMap's words and Chinese ones, for what stands in most files.
CLASS_WORDS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("motorway_link", "trunk", "trunk_link", "高速", "高速公路", "快速路"), "motorway"),
    **dict.fromkeys(
        ("primary", "primary_link", "secondary", "secondary_link", "主干道", "主干路", "次干道", "次干路"),
        "main",
    ),
    **dict.fromkeys(
        ("tertiary", "tertiary_link", "residential", "unclassified", "road", "支路", "街道", "街", "路"),
        "street",
    ),
    **dict.fromkeys(("service", "living_street", "alley", "巷", "胡同", "弄", "里弄", "小区路"), "lane"),
    **dict.fromkeys(
        ("footway", "cycleway", "pedestrian", "track", "steps", "bridleway", "corridor", "步道", "小路"),
        "path",
    ),
    **dict.fromkeys(("stream", "canal", "drain", "ditch", "河", "河流", "水系", "渠"), "river"),
    **dict.fromkeys(("rail", "light_rail", "subway", "tram", "narrow_gauge", "铁路", "轨道"), "railway"),
}


def load_streets(session: Writer, job: Job) -> Summary:
    """Reads streets in a stream and takes them over.

    Args:
        session: its owner commits or rolls back.
        job: the file.
    """
    job.require_place()
    system = job.system()
    load = StreetLoad(session)
    for rows in job.rows():
        codes = rows.codes("code", required=False) or [None] * len(rows)
        names = rows.names() or [None] * len(rows)
        classes = rows.choice("class", CLASSES, CLASS_WORDS, code="unknown_class", required=False)
        places = place(rows, system, "line")
        good = np.flatnonzero(rows.good)
        if not len(good):
            continue
        lines = places.geom[good]
        single = shapely.get_type_id(lines) == shapely.GeometryType.LINESTRING
        if single.any():
            lines[single] = shapely.multilinestrings(lines[single], indices=np.arange(single.sum()))
        load.add(
            StreetDrafts(
                row=rows.chunk.rows[good],
                code=[codes[at] for at in good],
                name=[names[at] or "" for at in good],
                class_=[(classes[at] if classes else None) or DEFAULT_CLASS for at in good],
                geom=lines,
            )
        )
    job.refuse_duplicates(load.duplicates())
    job.summary.add(load.store())
    return job.done()
