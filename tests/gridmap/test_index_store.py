"""An index out of files answers as the one that was built, in as many processes as like to, without building."""

import geopandas
import numpy as np
import pytest
import shapely

from gridmap import index_store
from gridmap.index import GridIndex

BOW_TIE = shapely.Polygon(
    [(4, 0), (5, 1), (5, 0), (4, 1)], [[(4.8, 0.4), (4.9, 0.4), (4.9, 0.6), (4.8, 0.6)]]
)
AREAS = [
    ("1", "village", "1", shapely.box(0, 0, 2, 2)),
    ("2", "village", "2", shapely.box(2, 0, 6, 2)),
    ("101", "micro", "1.101", shapely.box(0, 0, 0.9995, 2)),
    ("102", "micro", "1.102", shapely.box(1, 0, 1.9995, 2)),
    ("201", "micro", "2.201", shapely.box(2, 0, 4, 1).union(shapely.box(2.5, 1, 3, 2))),
    ("202", "dedicated", "2.202", shapely.box(2.2, 0.2, 2.4, 0.4)),
    ("203", "micro", "2.203", BOW_TIE),
]


@pytest.fixture(scope="module")
def index():
    codes, kinds, paths, shapes = zip(*AREAS, strict=True)
    frame = {"code": codes, "kind": kinds, "path": paths}
    return GridIndex.from_frame(geopandas.GeoDataFrame(frame, geometry=list(shapes), crs=4326))


@pytest.fixture(scope="module")
def places():
    rng = np.random.default_rng(1)
    lon, lat = rng.uniform(-0.5, 6.5, 20_000), rng.uniform(-0.5, 2.5, 20_000)
    lon[:3000] = rng.uniform(0.999, 1.0005, 3000)  # the gap, of a hundred metres
    lon[3000:3200], lat[3000:3200] = np.round(lon[3000:3200]), np.round(lat[3000:3200])
    lon[3200], lat[3201] = np.nan, np.inf
    return lon, lat


@pytest.mark.parametrize("engine", ["numpy", "compiled"])
def test_the_same_answers(index, places, tmp_path, engine):
    index_store.save(index, tmp_path)
    opened = index_store.load(tmp_path)
    for file in tmp_path.iterdir():
        file.unlink()
    expected, found = index.locate(*places, engine=engine), opened.locate(*places, engine=engine)
    assert {"inside", "border", "nearest", "none"} <= set(expected.method.tolist())
    assert np.array_equal(found.position, expected.position)
    assert np.array_equal(found.method_code, expected.method_code)
    assert np.array_equal(found.distance_m, expected.distance_m, equal_nan=True)


def test_nothing_is_built(index, places, tmp_path, monkeypatch):
    index_store.save(index, tmp_path)

    def refuse(*_, **__):
        raise AssertionError("built again")

    monkeypatch.setattr("gridmap.index_layer.build", refuse)
    monkeypatch.setattr("gridmap.index.NearestGrid", refuse)
    assert (index_store.load(tmp_path).locate(*places).method == "nearest").any()


def test_none_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        index_store.load(tmp_path)
