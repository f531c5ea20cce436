"""Streets with their names, and the street that gives a block its addresses."""

import numpy as np

from gridmap.demo import names
from gridmap.demo.city import Ints, Streets
from gridmap.demo.coverage import Layout
from gridmap.demo.division import LANE, MAIN, PATH, RIVER, STREET, WALL, Division
from gridmap.demo.mesh import RIM
from gridmap.demo.outline import Outline


def lay(outline: Outline, layout: Layout, rng: np.random.Generator) -> tuple[Streets, Ints]:
    """Every line that something runs along, and for every micro-grid the row of its street, or -1."""
    division = outline.division
    geoms = outline.lines()
    kept = np.flatnonzero(np.array([geom is not None for geom in geoms], dtype=bool))
    row_of_line = np.full(len(geoms) + 1, -1, dtype=np.int64)  # the last for the rim, which is -1
    row_of_line[kept] = np.arange(len(kept))
    every = _names(division, set(layout.areas.name.tolist()), rng)
    rank = np.empty(len(kept), dtype=object)
    rank[:] = [division.lines[line].rank for line in kept]
    code = np.empty(len(kept), dtype=object)
    code[:] = [f"S{number + 1:05d}" for number in range(len(kept))]
    name = np.empty(len(kept), dtype=object)
    name[:] = [every[line] for line in kept]
    beside = row_of_line[_beside(division, layout.home_face)]
    return Streets(code=code, name=name, rank=rank, geom=geoms[kept]), beside


def _names(division: Division, taken: set[str], rng: np.random.Generator) -> list[str]:
    lines = division.lines
    great = [number for number, line in enumerate(lines) if line.rank in {MAIN, STREET}]
    stems = iter(names.places(len(great), rng, {name[:2] for name in taken}))
    result = [""] * len(lines)
    rivers = iter((names.RIVER, names.SIDE_ARM))
    for number, line in enumerate(lines):
        if line.rank == RIVER:
            result[number] = next(rivers)
        elif line.rank == MAIN:
            result[number] = next(stems) + ("大道" if line.level == 1 else "路")
        elif line.rank == STREET:
            result[number] = next(stems) + ("路" if rng.random() < 0.6 else "街")
    lanes: dict[int, int] = {}
    for number, from_street in _origins(division).items():
        lanes[from_street] = lanes.get(from_street, 0) + 1
        if lanes[from_street] < 100:
            result[number] = f"{result[from_street]}{names.numeral(lanes[from_street])}巷"
    return result


def _origins(division: Division) -> dict[int, int]:
    """For every lane the street that it leaves."""
    touching: dict[int, set[int]] = {}
    for (a, b), line in division.mesh.line_of.items():
        touching.setdefault(a, set()).add(line)
        touching.setdefault(b, set()).add(line)
    met: dict[int, set[int]] = {}
    for lines in touching.values():
        great = {line for line in lines if line != RIM and division.lines[line].rank in {MAIN, STREET}}
        for line in lines - great:
            if line != RIM and division.lines[line].rank == LANE:
                met.setdefault(line, set()).update(great)
    return {line: min(great) for line, great in sorted(met.items()) if great}


def _beside(division: Division, faces: Ints) -> Ints:
    """The line of a face that gives addresses: the greatest, of these the longest; -1 where there is none."""
    mesh = division.mesh
    order = {MAIN: 2, STREET: 3, LANE: 1}
    result = np.full(len(faces), RIM, dtype=np.int64)
    for position, face in enumerate(faces.tolist()):
        corners = mesh.faces[face]
        best = (0, 0.0)
        for a, b in zip(corners, corners[1:] + corners[:1], strict=True):
            line = mesh.line_of[min(a, b), max(a, b)]
            rank = RIVER if line == RIM else division.lines[line].rank
            if rank in {RIVER, PATH, WALL}:
                continue
            (ax, ay), (bx, by) = mesh.vertices[a], mesh.vertices[b]
            found = (order[rank], float(np.hypot(bx - ax, by - ay)))
            if found > best:
                best = found
                result[position] = line
    return result
