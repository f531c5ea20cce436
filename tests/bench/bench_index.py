"""Whose place is it: places a second beside geopandas.sjoin and PostGIS in the same run, answers compared.

`bench_index.py [--places 8000000] [--polygons 7000] [--quick]`. One thread. Figures are wall-clock; on a machine
with other work both sides of a ratio suffer alike.
"""

import argparse
import math
import sys
import time

import geopandas as gpd
import numpy as np
import psycopg
import shapely

from gridmap import index_engine
from gridmap.embedded import Cluster
from gridmap.errors import GridmapError
from gridmap.index import AreaIndex, GridIndex

WEST, SOUTH, CELL = 116.0, 39.0, 0.01
SJOIN_FLOOR, SJOIN_GOAL, POSTGIS_GOAL = 20, 40, 500
MEMORY_MB, ONE_US = 60, 50


def coverage(columns: int, rows: int, halvings: int, seed: int = 1) -> np.ndarray:
    """Polygons that tile a county: jittered blocks whose neighbours share winding borders, vertex by vertex.

    Each of the four sides of a block is halved `halvings` times, every middle moved aside at random.
    """
    rng = np.random.default_rng(seed)
    nodes = np.stack(np.meshgrid(np.arange(columns + 1.0), np.arange(rows + 1.0)), axis=-1)
    nodes = (nodes + rng.uniform(-0.18, 0.18, nodes.shape)) * [CELL, 0.8 * CELL] + [WEST, SOUTH]

    def border(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        line = np.stack([a, b], axis=-2)
        for level in range(halvings):
            step = np.diff(line, axis=-2)
            share = rng.uniform(-0.12, 0.12, (*step.shape[:-1], 1)) * 0.75**level
            aside = np.stack([-step[..., 1], step[..., 0]], axis=-1) * share
            finer = np.empty((*line.shape[:-2], 2 * line.shape[-2] - 1, 2))
            finer[..., 0::2, :], finer[..., 1::2, :] = line, line[..., :-1, :] + step / 2 + aside
            line = finer
        return line

    along, up = border(nodes[:, :-1], nodes[:, 1:]), border(nodes[:-1], nodes[1:])
    rings = [along[:-1, :, :-1], up[:, 1:, :-1], along[1:, :, :0:-1], up[:, :-1, :0:-1]]
    return np.asarray(
        shapely.polygons(shapely.linearrings(np.concatenate(rings, axis=2).reshape(rows * columns, -1, 2)))
    )


def shape_of(polygons: int) -> tuple[int, int]:
    rows = max(round(math.sqrt(polygons * 0.7)), 1)
    return round(polygons / rows), rows


def frame(geoms: np.ndarray) -> gpd.GeoDataFrame:
    """Codes in no relation to the place of the polygons."""
    order = np.random.default_rng(2).permutation(len(geoms))
    return gpd.GeoDataFrame({"code": [f"{n:07d}" for n in order]}, geometry=geoms, crs="EPSG:4326")


def places(geoms: np.ndarray, many: int, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Anywhere in the county and a little beyond; every thousandth on a vertex of a border."""
    rng = np.random.default_rng(seed)
    west, south, east, north = shapely.total_bounds(geoms)
    lon, lat = rng.uniform(west, east, many), rng.uniform(south, north, many)
    coords = shapely.get_coordinates(geoms[rng.integers(0, len(geoms), 200)])
    on = np.arange(0, many, 1000)
    lon[on], lat[on] = coords[rng.integers(0, len(coords), len(on))].T
    return lon, lat


def seconds(work, *arguments, repeat: int = 1):
    """Least time of some tries, and the answer."""
    best = math.inf
    for _ in range(repeat):
        begin = time.perf_counter()
        answer = work(*arguments)
        best = min(best, time.perf_counter() - begin)
    return best, answer


def by_sjoin(grids: gpd.GeoDataFrame, lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
    """Positions by geopandas; of several the smallest code, -1 for none."""
    points = gpd.GeoDataFrame(geometry=gpd.points_from_xy(lon, lat, crs=4326))
    joined = gpd.sjoin(points, grids, predicate="intersects")
    rank = np.empty(len(grids), dtype=np.int64)
    rank[np.argsort(grids["code"].to_numpy())] = np.arange(len(grids))
    best = np.full(len(lon), len(grids))
    np.minimum.at(best, joined.index.to_numpy(), rank[joined["index_right"].to_numpy()])
    return np.append(np.argsort(rank), -1)[best]


def against_sjoin(grids: gpd.GeoDataFrame, index: GridIndex, lon: np.ndarray, lat: np.ndarray) -> bool:
    ours, answer = seconds(index.locate, lon, lat, 0.0, repeat=3)
    in_numpy, _ = seconds(lambda: index.locate(lon[:1_000_000], lat[:1_000_000], 0.0, engine="numpy"))
    theirs = 0.0
    wrong = 0
    for part in np.array_split(np.arange(len(lon)), max(len(lon) // 1_000_000, 1)):
        took, expected = seconds(by_sjoin, grids, lon[part], lat[part])
        theirs += took
        wrong += np.count_nonzero(answer.position[part] != expected)
    ratio = theirs / ours
    print(
        f"{len(lon):,} places in {len(grids):,} grids: {ours:.2f} s, {len(lon) / ours / 1e6:.1f} million a second"
    )
    print(f"  plain NumPy {1 / in_numpy:.1f} million a second")
    print(f"  geopandas.sjoin {theirs:.1f} s, {len(lon) / theirs / 1e6:.2f} million a second")
    print(f"  {ratio:.0f} times sjoin (goal {SJOIN_GOAL}, floor {SJOIN_FLOOR}); {wrong} answers differ")
    return ratio >= SJOIN_FLOOR and wrong == 0


def against_postgis(grids: gpd.GeoDataFrame, index: GridIndex, many: int) -> bool:
    """The join in a private cluster: points and polygons in tables, an index on the polygons, one process."""
    geoms = grids.geometry.to_numpy()
    lon, lat = places(geoms, many, seed=4)
    try:
        with Cluster.temporary(durable=False) as cluster, psycopg.connect(cluster.admin_url()) as connection:
            return _join(connection, grids, index, (lon, lat))
    except GridmapError as error:
        print(f"PostGIS: {error.message}")
        return True


def _join(connection: psycopg.Connection, grids: gpd.GeoDataFrame, index: GridIndex, points) -> bool:
    lon, lat = points
    cursor = connection.cursor()
    cursor.execute(
        "CREATE EXTENSION IF NOT EXISTS postgis; SET max_parallel_workers_per_gather = 0; SET jit = off"
    )
    cursor.execute('CREATE TEMP TABLE grid (code text COLLATE "C", geom geometry(Polygon, 4326))')
    with cursor.copy("COPY grid FROM STDIN") as copy:
        for code, wkb in zip(
            grids["code"], shapely.to_wkb(grids.geometry.to_numpy(), hex=True, include_srid=True), strict=True
        ):
            copy.write_row((code, "0103000020E6100000" + wkb[10:]))
    cursor.execute("CREATE TEMP TABLE place (id int, geom geometry(Point, 4326))")
    with cursor.copy("COPY place FROM STDIN") as copy:
        for number, wkb in enumerate(shapely.to_wkb(shapely.points(lon, lat), hex=True)):
            copy.write_row((number, "0101000020E6100000" + wkb[10:]))
    cursor.execute("CREATE INDEX ON grid USING gist (geom); ANALYZE grid; ANALYZE place")
    begin = time.perf_counter()
    cursor.execute(
        "SELECT place.id, min(grid.code) FILTER (WHERE NOT ST_Touches(place.geom, grid.geom)), min(grid.code)"
        " FROM place JOIN grid ON ST_Intersects(place.geom, grid.geom) GROUP BY place.id"
    )
    rows = cursor.fetchall()
    theirs = (time.perf_counter() - begin) / len(lon)
    answer = index.locate(lon, lat, 0.0)
    codes = np.append(grids["code"].to_numpy(), None)
    expected = np.full(len(lon), None, dtype=object)
    for number, inside, border in rows:
        expected[number] = inside or border
    wrong = np.count_nonzero(codes[answer.position] != expected)
    enough = np.tile(lon, 4_000_000 // len(lon)), np.tile(lat, 4_000_000 // len(lon))
    ours, _ = seconds(index.locate, *enough, 0.0, repeat=3)
    ratio = theirs / (ours / len(enough[0]))
    print(f"PostGIS join of {len(lon):,} places: {theirs * 1e6:.1f} µs each")
    print(f"  we are {ratio:.0f} times as fast (goal {POSTGIS_GOAL}); {wrong} answers differ")
    return ratio >= POSTGIS_GOAL and wrong == 0


def by_size(sizes: list[int], many: int) -> None:
    print("nearly independent of the number of grids, linear in places:")
    for polygons in sizes:
        geoms = coverage(*shape_of(polygons), 3)
        build, index = seconds(
            lambda named: AreaIndex.from_arrays(*named, bulk=True), (geoms, *_names(len(geoms)))
        )
        lon, lat = places(geoms, many)
        took, half = (seconds(index.owners, lon[:n], lat[:n], 0.0, repeat=3)[0] for n in (many, many // 2))
        print(
            f"  {len(geoms):7,} grids, {shapely.get_num_coordinates(geoms).sum():10,} vertices: build {build:6.2f} s,"
            f" {index.nbytes / 1e6:6.1f} MB, {many / took / 1e6:5.1f} million a second,"
            f" half as many in {half / took:.2f} of the time"
        )


def _names(many: int) -> tuple[list[str], list[str], list[str]]:
    codes = [f"{number:07d}" for number in range(many)]
    return codes, ["micro"] * many, codes


def county() -> bool:
    """A county of 7,000 micro-grids with all that lies above and across: build, memory, one place."""
    geoms, kinds, codes = [], [], []
    micro = coverage(100, 70, 3)
    column, row = np.tile(np.arange(100), 70), np.repeat(np.arange(70), 100)
    for kind, wide, high in (
        ("micro", 1, 1),
        ("comprehensive", 5, 1),
        ("village", 10, 7),
        ("town", 20, 14),
        ("county", 100, 70),
        ("precinct", 25, 35),
        ("court", 50, 35),
        ("section", 50, 14),
    ):
        part = (row // high) * 1000 + column // wide
        for number in np.unique(part).tolist():
            geoms.append(shapely.coverage_union_all(micro[part == number]))
            kinds.append(kind)
            codes.append(f"{kind}{number}")
    build, index = seconds(lambda: AreaIndex.from_arrays(geoms, codes, kinds, codes), repeat=2)
    lon, lat = places(micro, 20_000)
    pairs = list(zip(lon.tolist(), lat.tolist(), strict=True))
    held = [place for place in map(index.locate_one, *zip(*pairs, strict=True)) if place.owner >= 0]
    began = time.perf_counter()
    for x, y in pairs:
        index.locate_one(x, y, 0.0)
    one = (time.perf_counter() - began) / len(pairs) * 1e6
    batch, _ = seconds(lambda: index.locate(lon, lat, engine="numpy"), repeat=3)
    print(
        f"a county of {len(geoms):,} areas in 8 kinds: built in {build:.2f} s,"
        f" {index.nbytes / 1e6:.0f} MB (limit {MEMORY_MB})"
    )
    each = batch / len(pairs) * 1e6
    print(f"  one place with all its areas: {one:.1f} µs (limit {ONE_US}); in a batch {each:.1f} µs")
    return bool(held) and index.nbytes / 1e6 < MEMORY_MB and one < ONE_US


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--places", type=int, default=8_000_000)
    options.add_argument("--polygons", type=int, default=7_000)
    options.add_argument("--quick", action="store_true", help="a tenth of the places, fewer grids")
    chosen = options.parse_args()
    many = chosen.places // (10 if chosen.quick else 1)
    print(f"compiled code in {index_engine.warm()}")
    grids = frame(coverage(*shape_of(chosen.polygons), 5))
    build, index = seconds(GridIndex.from_frame, grids)
    vertices = shapely.get_num_coordinates(grids.geometry.to_numpy()).sum()
    print(f"{len(grids):,} grids of {vertices:,} vertices: built in {build:.2f} s")
    fine = [county(), against_sjoin(grids, index, *places(grids.geometry.to_numpy(), many))]
    by_size([70, 700, 7_000, 70_000] + ([] if chosen.quick else [500_000]), many // 2)
    fine.append(against_postgis(grids, index, 20_000 if chosen.quick else 100_000))
    return 0 if all(fine) else 1


if __name__ == "__main__":
    sys.exit(main())
