"""A small county of squares, as a frame and as a file; an invented county to redraw."""

import geopandas as gpd
import numpy as np
import pytest
import shapely

from tests.boundaries.redraw_ground import county, edition

WEST, SOUTH, STEP = 112.0, 30.0, 0.01


@pytest.fixture(scope="session")
def city():
    """An invented county of a town or more, for redraws."""
    return county(9_000)


@pytest.fixture(scope="session")
def base(city):
    """Its edition; never changed."""
    return edition(city)


@pytest.fixture(scope="session")
def squares():
    """Makes the grids of a county, whose codes say row and column."""

    def make(columns=3, rows=2, *, skip=()):
        found = [
            (f"99{row:02d}{column:02d}", shapely.box(x, y, x + STEP, y + STEP))
            for row, y in enumerate(SOUTH + np.arange(rows) * STEP)
            for column, x in enumerate(WEST + np.arange(columns) * STEP)
            if (row, column) not in skip
        ]
        return gpd.GeoDataFrame(
            {"code": [code for code, _ in found]}, geometry=[box for _, box in found], crs=4326
        )

    return make


@pytest.fixture
def grids(tmp_path, squares):
    path = tmp_path / "grids.parquet"
    squares().to_parquet(path)
    return path
