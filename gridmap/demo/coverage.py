"""The areas of the county: parts of the division joined, numbered and named; overlays laid over them."""

from collections import deque
from dataclasses import dataclass

import numpy as np
import shapely

from gridmap.codes import DEFAULT
from gridmap.demo import names
from gridmap.demo.city import Areas, Flags, Floats, Ints, Objects
from gridmap.demo.division import Part
from gridmap.demo.outline import Outline, as_multi, joined

PROVINCE_CODE, CITY_CODE, COUNTY_CODE = "99", "9901", "990126"
ROOT = f"{PROVINCE_CODE}.{CITY_CODE}.{COUNTY_CODE}"
URBAN_M2_PER_MICRO = 32_000.0  # a village whose typical micro-grid is smaller is a community


@dataclass(frozen=True)
class Layout:
    """Which part of the county everything is, as positions from 0; the bridge between faces and areas."""

    areas: Areas
    town_row: Ints  # row in Areas, by position
    village_row: Ints
    comprehensive_row: Ints
    micro_row: Ints
    dedicated_row: Ints
    town_of_village: Ints
    village_of_comprehensive: Ints
    comprehensive_of_micro: Ints
    home_face: Ints  # the face of each micro-grid where people live
    parcel_face: Ints  # the face of each dedicated grid
    micro_of_dedicated: Ints
    dedicated_use: Objects  # school, market, hospital, park
    urban_village: Flags
    micro_m2: Floats

    @property
    def village_of_micro(self) -> Ints:
        """Position of the village of each micro-grid."""
        return self.village_of_comprehensive[self.comprehensive_of_micro]


@dataclass(frozen=True)
class _Tree:
    """The parts of the county as flat lists; parents by position."""

    town_of_village: Ints
    village_of_comprehensive: Ints
    comprehensive_of_micro: Ints
    micros: list[Part]


def _flatten(county: Part) -> _Tree:
    towns, villages, grids, micros = [], [], [], []
    for town_number, town in enumerate(county.parts):
        for village in town.parts:
            towns.append(town_number)
            for grid in village.parts:
                villages.append(len(towns) - 1)
                for micro in grid.parts:
                    grids.append(len(villages) - 1)
                    micros.append(micro)
    return _Tree(np.array(towns), np.array(villages), np.array(grids), micros)


def in_order(geoms: Objects) -> Ints:
    """Positions of areas from west to east, on one longitude from north to south."""
    middle = shapely.get_coordinates(shapely.centroid(geoms))
    order: Ints = np.lexsort((-middle[:, 1], middle[:, 0]))
    return order


def _coded(kind: str, geoms: Objects, parents: Ints, parent_codes: list[str]) -> Objects:
    """Codes below their parents, by the county's scheme."""
    codes = np.empty(len(geoms), dtype=object)
    for parent in np.unique(parents).tolist():
        members = np.flatnonzero(parents == parent)
        places = shapely.get_coordinates(shapely.centroid(geoms[members]))
        codes[members] = DEFAULT.generate(kind, parent_codes[parent], places)
    return codes


class _Rows:
    """Areas as they are added, parents first."""

    def __init__(self) -> None:
        self.columns: tuple[list[object], ...] = tuple([] for _ in range(7))

    def add(self, kind: str, code: str, name: str, setting: str | None, above: str, geom: object) -> int:
        """`above` is the path of the parent, empty for the largest area."""
        parent = above.rsplit(".", 1)[-1] or None
        path = f"{above}.{code}" if above else code
        for column, value in zip(self.columns, (kind, code, name, setting, parent, path, geom), strict=True):
            column.append(value)
        return len(self.columns[0]) - 1

    def code(self, row: int) -> str:
        return str(self.columns[1][row])

    def path(self, row: int) -> str:
        return str(self.columns[5][row])

    def areas(self) -> Areas:
        arrays = [np.empty(len(column), dtype=object) for column in self.columns]
        for array, column in zip(arrays, self.columns, strict=True):
            array[:] = column
        return Areas(*arrays)


def lay_out(outline: Outline, rng: np.random.Generator) -> Layout:
    """Builds every area from the drawn division."""
    faces = outline.faces()
    tree = _flatten(outline.division.county)
    face_of: list[int] = []
    micro_of_face: list[int] = []
    for position, leaf in enumerate(tree.micros):
        for part in leaf.parts or [leaf]:
            face_of.append(part.face)
            micro_of_face.append(position)
    micro = joined(faces[np.array(face_of)], np.array(micro_of_face))
    grid = joined(micro, tree.comprehensive_of_micro)
    village = joined(grid, tree.village_of_comprehensive)
    town = joined(village, tree.town_of_village)
    county = joined(town, np.zeros(len(town), dtype=np.int64))
    # metres: a degree of latitude, and of longitude in the middle of the county
    middle = np.radians(shapely.get_y(shapely.centroid(county[0])))
    micro_m2 = shapely.area(micro) * 111_195.0**2 * np.cos(middle)
    urban = _typical(micro_m2, tree) < URBAN_M2_PER_MICRO
    rows = _Rows()
    rows.add("province", PROVINCE_CODE, names.PROVINCE, None, "", county[0])
    rows.add("city", CITY_CODE, names.CITY, None, PROVINCE_CODE, county[0])
    rows.add("county", COUNTY_CODE, names.COUNTY, None, f"{PROVINCE_CODE}.{CITY_CODE}", county[0])
    town_row, village_row = _jurisdictions(rows, tree, (town, village), urban, rng)
    grid_row, micro_row = _grids(rows, tree, (grid, micro), urban, village_row)
    with_parcel = np.array([i for i, part in enumerate(tree.micros) if part.parts], dtype=np.int64)
    parcel_face = np.array([tree.micros[i].parts[1].face for i in with_parcel], dtype=np.int64)
    uses, dedicated_row = _dedicated(rows, faces[parcel_face], tree, with_parcel, (urban, village_row), rng)
    _overlays(rows, tree, (town, village), town_row)
    return Layout(
        areas=rows.areas(),
        town_row=town_row,
        village_row=village_row,
        comprehensive_row=grid_row,
        micro_row=micro_row,
        dedicated_row=dedicated_row,
        town_of_village=tree.town_of_village,
        village_of_comprehensive=tree.village_of_comprehensive,
        comprehensive_of_micro=tree.comprehensive_of_micro,
        home_face=np.array([(part.parts or [part])[0].face for part in tree.micros]),
        parcel_face=parcel_face,
        micro_of_dedicated=with_parcel,
        dedicated_use=uses,
        urban_village=urban,
        micro_m2=micro_m2,
    )


def _typical(micro_m2: Floats, tree: _Tree) -> Floats:
    village = tree.village_of_comprehensive[tree.comprehensive_of_micro]
    return np.array([np.median(micro_m2[village == each]) for each in range(len(tree.town_of_village))])


def _jurisdictions(
    rows: _Rows, tree: _Tree, geoms: tuple[Objects, Objects], urban: Flags, rng: np.random.Generator
) -> tuple[Ints, Ints]:
    """Towns and villages: offices number from 001, towns 100, communities 001, villages 200."""
    towns, villages = geoms
    taken: set[str] = set()
    town_names = names.places(len(towns), rng, taken)
    village_names = names.places(len(villages), rng, taken)
    communities = np.bincount(tree.town_of_village, weights=urban, minlength=len(towns))
    street_office = communities * 2 > np.bincount(tree.town_of_village, minlength=len(towns))
    if not street_office.any():
        street_office[np.argmax(communities)] = True
    town_row = np.empty(len(towns), dtype=np.int64)
    village_row = np.empty(len(villages), dtype=np.int64)
    sequence = {True: iter(range(1, 100)), False: iter(range(100, 200))}
    for town in in_order(towns).tolist():
        office = bool(street_office[town])
        code = f"{COUNTY_CODE}{next(sequence[office]):03d}"
        name = town_names[town] + ("街道" if office else "镇")
        town_row[town] = rows.add("town", code, name, None, ROOT, towns[town])
        members = np.flatnonzero(tree.town_of_village == town)
        counters = {True: iter(range(1, 200)), False: iter(range(200, 400))}
        for village in members[in_order(villages[members])].tolist():
            community = bool(urban[village])
            its_code = f"{code}{next(counters[community]):03d}"
            its_name = village_names[village] + ("社区" if community else "村")
            village_row[village] = rows.add(
                "village", its_code, its_name, None, f"{ROOT}.{code}", villages[village]
            )
    return town_row, village_row


def _grids(
    rows: _Rows, tree: _Tree, geoms: tuple[Objects, Objects], urban: Flags, village_row: Ints
) -> tuple[Ints, Ints]:
    grids, micros = geoms
    villages = [rows.code(row) for row in village_row.tolist()]
    grid_codes = _coded("comprehensive", grids, tree.village_of_comprehensive, villages)
    micro_codes = _coded("micro", micros, tree.comprehensive_of_micro, grid_codes.tolist())
    grid_row = np.empty(len(grids), dtype=np.int64)
    micro_row = np.empty(len(micros), dtype=np.int64)
    for grid in np.argsort(grid_codes).tolist():
        village = tree.village_of_comprehensive[grid]
        setting = "urban" if urban[village] else "rural"
        name = f"第{int(grid_codes[grid][-3:])}网格"
        above = rows.path(village_row[village])
        grid_row[grid] = rows.add("comprehensive", grid_codes[grid], name, setting, above, grids[grid])
    for micro in np.argsort(micro_codes).tolist():
        grid = tree.comprehensive_of_micro[micro]
        setting = "urban" if urban[tree.village_of_comprehensive[grid]] else "rural"
        name = f"{int(grid_codes[grid][-3:]):02d}-{micro_codes[micro][-2:]} 微网格"
        above = rows.path(grid_row[grid])
        micro_row[micro] = rows.add("micro", micro_codes[micro], name, setting, above, micros[micro])
    return grid_row, micro_row


_USE_NAMES = {
    "school": ("小学", "中学", "学校"),
    "market": ("农贸市场", "集贸市场", "批发市场"),
    "hospital": ("医院", "卫生院"),
    "park": ("工业园", "产业园", "物流园"),
}


def _dedicated(
    rows: _Rows,
    parcels: Objects,
    tree: _Tree,
    micros: Ints,
    villages: tuple[Flags, Ints],
    rng: np.random.Generator,
) -> tuple[Objects, Ints]:
    urban, village_row = villages
    village = tree.village_of_comprehensive[tree.comprehensive_of_micro[micros]]
    draw = rng.random(len(micros))
    uses = np.where(
        draw < 0.4, "school", np.where(draw < 0.68, "market", np.where(draw < 0.82, "hospital", "park"))
    ).astype(object)
    codes = _coded("dedicated", parcels, village, [rows.code(row) for row in village_row.tolist()])
    geoms = as_multi(parcels) if len(parcels) else parcels
    result = np.empty(len(micros), dtype=np.int64)
    for i in np.argsort(codes).tolist():
        row = int(village_row[village[i]])
        kinds = _USE_NAMES[uses[i]]
        stem = str(rows.columns[2][row]).removesuffix("社区").removesuffix("村")
        name = f"{stem}{kinds[0] if urban[village[i]] else kinds[-1]}专属网格"
        result[i] = rows.add("dedicated", codes[i], name, "dedicated", rows.path(row), geoms[i])
    return uses, result


def _overlays(rows: _Rows, tree: _Tree, geoms: tuple[Objects, Objects], town_row: Ints) -> None:
    """Precincts follow villages and not towns; justice offices follow towns; the others join towns."""
    towns, villages = geoms
    count = len(towns)
    stem = [str(rows.columns[2][row]).removesuffix("街道").removesuffix("镇") for row in town_row]
    precincts = grown_together(villages, max(1, round(count * 1.2)))
    heads = [
        stem[tree.town_of_village[np.flatnonzero(precincts == each)[0]]]
        for each in range(precincts.max() + 1)
    ]
    seen: dict[str, int] = {}
    for each, geom in enumerate(joined(villages, precincts)):
        seen[heads[each]] = seen.get(heads[each], 0) + 1
        suffix = "" if seen[heads[each]] == 1 else names.numeral(seen[heads[each]])
        _overlay(rows, "precinct", "P", each, f"{heads[each]}{suffix}派出所辖区", geom)
    for each, geom in enumerate(towns):
        _overlay(rows, "justice", "J", each, f"{stem[each]}司法所辖区", geom)
    for kind, letter, share, form in (
        ("court", "C", 3, "第{}巡回法庭辖区"),
        ("procuratorate", "K", 8, "第{}检察室辖区"),
        ("section", "S", 3, "第{}片区"),
    ):
        groups = grown_together(towns, min(count, max(2, round(count / share))))
        for each, geom in enumerate(joined(towns, groups)):
            _overlay(rows, kind, letter, each, form.format(names.numeral(each + 1)), geom)


def _overlay(rows: _Rows, kind: str, letter: str, number: int, name: str, geom: object) -> None:
    rows.add(kind, f"{COUNTY_CODE}{letter}{number + 1:02d}", name, None, ROOT, geom)


def grown_together(geoms: Objects, count: int) -> Ints:
    """Joins neighbours into `count` connected groups: seeds far apart grow by turns."""
    tree = shapely.STRtree(geoms)
    one, other = tree.query(geoms, predicate="touches")
    borders = shapely.length(shapely.intersection(geoms[one], geoms[other])) > 0
    neighbours: list[list[int]] = [[] for _ in geoms]
    for a, b in sorted(zip(one[borders].tolist(), other[borders].tolist(), strict=True)):
        neighbours[a].append(b)
    middle = shapely.get_coordinates(shapely.centroid(geoms))
    group = np.full(len(geoms), -1, dtype=np.int64)
    seeds = _far_apart(middle, count)
    group[seeds] = np.arange(count)
    fronts = [deque(neighbours[seed]) for seed in seeds]
    while any(fronts):
        for number, front in enumerate(fronts):
            while front:
                each = front.popleft()
                if group[each] < 0:
                    group[each] = number
                    front.extend(neighbours[each])
                    break
    return group


def _far_apart(points: Floats, count: int) -> list[int]:
    seeds = [int(np.argmin(points.sum(axis=1)))]
    distance = np.full(len(points), np.inf)
    while len(seeds) < count:
        distance = np.minimum(distance, np.hypot(*(points - points[seeds[-1]]).T))
        seeds.append(int(np.argmax(distance)))
    return seeds
