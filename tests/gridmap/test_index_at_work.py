"""What the index costs a process, that nobody waits for a compiler, and real counties."""

import os
import subprocess
import sys
from pathlib import Path

import geopandas
import numpy as np
import pandas as pd
import pytest
import shapely

from gridmap import crs, index_answers, index_exact, index_lattice, index_search
from gridmap.index import GRIDS, KINDS, GridIndex

SHARED = Path(__file__).parents[3] / "shared" / "data"


def test_constants_of_the_compiled_code_are_those_of_the_rest():
    from gridmap import index_kernels

    for module, names in {
        index_exact: ["UNCERTAIN", "FILTER", "SPLITTER", "LEAST", "MOST"],
        index_lattice: [
            "FAN",
            "CHILDREN",
            "NOBODY",
            "COVER",
            "POLYGONS",
            "CHAINS",
            "HELD",
            "HEAD",
            "CHAIN",
            "OPEN_LEAF",
        ],
        index_answers: ["INSIDE", "BORDER", "NONE", "OPEN"],
        index_search: ["_ON", "_OPEN"],
    }.items():
        for name in names:
            assert getattr(index_kernels, name) == getattr(module, name), name


def run(program: str, **environment: str) -> str:
    """What a fresh process prints."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | environment | {"PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    return done.stdout.strip()


SERVER = """
import sys, numpy as np, shapely
from gridmap.index import AreaIndex
index = AreaIndex.from_arrays([shapely.box(0, 0, 1, 1)], ["1"], ["micro"], ["1"])
index.locate_one(0.5, 0.5)
for _ in range(30):
    index.locate(np.full(99_999, 0.5), np.full(99_999, 0.5))
print(sorted({"numba", "geopandas", "pandas", "pyproj", "sklearn"} & set(sys.modules)))
index.locate_one(0.5, 1.0001)
print(sorted({"numba", "geopandas", "pandas", "sklearn"} & set(sys.modules)))
"""


def test_a_server_does_not_pay_for_what_it_does_not_use():
    assert run(SERVER).split("\n") == ["[]", "[]"]


BULK = """
import sys, numpy as np, shapely
from gridmap import index_engine
from gridmap.index import AreaIndex
index_engine._IMPORT_AFTER, index_engine._COMPILE_AFTER = 300_000, 500_000
index = AreaIndex.from_arrays([shapely.box(0, 0, 1, 1)], ["1"], ["micro"], ["1"])
lon = np.linspace(-0.5, 1.5, 100_000)
answers = []
for _ in range(6):
    answers.append(index.locate(lon, np.full(len(lon), 0.5)).owner)
    print("numba" in sys.modules, index_engine._ready)
assert all((answer == answers[0]).all() for answer in answers)
print(index_engine._kernels.locate.stats.cache_path or "nowhere")
"""


def test_nobody_waits_for_the_compiler(tmp_path):
    """Cold: NumPy goes on until compiling is worth it. Warm: compiled as soon as Numba is worth its import."""
    cold = run(BULK, NUMBA_CACHE_DIR=str(tmp_path)).split("\n")
    assert cold[:6] == ["False False"] * 2 + ["True False"] * 2 + ["True True"] * 2
    assert cold[6].startswith(str(tmp_path))
    warm = run(BULK, NUMBA_CACHE_DIR=str(tmp_path)).split("\n")
    assert warm[:6] == ["False False"] * 2 + ["True True"] * 4


def test_without_a_folder_to_write_to_it_still_compiles():
    lines = run(BULK, NUMBA_CACHE_LOCATOR_CLASSES="IPythonCacheLocator").split("\n")
    assert lines[5:] == ["True True", "nowhere"]


def test_real_counties():
    """Every vertex of 3,220 real counties, 29 of them invalid, and 42,049 places that name theirs."""
    counties, points = SHARED / "us_counties.gpkg", SHARED / "us_zip_points.csv.gz"
    if not counties.exists() or not points.exists():
        pytest.skip("../shared/data is missing")
    grids, table = geopandas.read_file(counties), pd.read_csv(points)
    lon, lat = table["longitude"].to_numpy(), table["latitude"].to_numpy()
    geoms = np.asarray(grids.geometry.array, dtype=object)
    coords = np.unique(shapely.get_coordinates(geoms), axis=0)
    x, y = np.r_[lon, coords[:, 0], coords[:, 0]], np.r_[lat, coords[:, 1], np.nextafter(coords[:, 1], 90)]
    answer = GridIndex.from_frame(grids).locate(x, y, 0.0)
    codes = grids["code"].to_numpy()
    place, county = shapely.STRtree(geoms).query(shapely.points(x, y))
    held = shapely.intersects(geoms[county], shapely.points(x[place], y[place]))
    place, county = place[held], county[held]
    border = shapely.touches(geoms[county], shapely.points(x[place], y[place]))
    best = pd.DataFrame({"place": place, "border": border, "code": codes[county]}).groupby("place").min()
    expected = pd.DataFrame({"place": place, "border": border, "code": codes[county]}).sort_values(
        ["border", "code"]
    )
    expected = expected.drop_duplicates("place").set_index("place").sort_index()
    assert len(best) == len(expected)
    found = np.flatnonzero(answer.position >= 0)
    assert found.tolist() == expected.index.tolist()
    assert (codes[answer.position[found]] == expected["code"].to_numpy()).all()
    assert ((answer.method[found] == "border") == expected["border"].to_numpy()).all()
    assert np.count_nonzero(answer.position[: len(lon)] < 0) == 621
    names = grids["name"].to_numpy()[answer.position[: len(lon)]]
    assert np.mean(names == table["county"].to_numpy()) > 0.9


def test_counties_in_cgcs2000_hold_their_inner_points():
    file = SHARED / "counties_target_cgcs2000.gpkg"
    if not file.exists():
        pytest.skip("../shared/data/counties_target_cgcs2000.gpkg is missing")
    grids = geopandas.read_file(file)
    column = next(name for name in grids.columns if grids[name].is_unique and name != "geometry")
    inner = shapely.point_on_surface(np.asarray(grids.geometry.array, dtype=object))
    index = GridIndex.from_frame(grids, column)
    assert index.locate(shapely.get_x(inner), shapely.get_y(inner)).position.tolist() == list(
        range(len(grids))
    )
    lon, lat = crs.convert(shapely.get_x(inner), shapely.get_y(inner), "wgs84", "gcj02")
    found = crs.suspect(lon, lat, np.asarray(grids.geometry.array, dtype=object), np.arange(len(grids)))
    assert found.points == len(grids)


def test_kinds_are_all_there():
    assert set(GRIDS) < set(KINDS)
    assert len(KINDS) == 13
