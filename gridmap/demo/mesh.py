"""A plane cut into convex faces by straight cuts, in which neighbours share every vertex.

A cut that ends on an edge puts its vertex into the face on the other side as well, so whatever is later
joined from faces fits without a gap or an overlap, bit for bit.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from gridmap.demo.city import Floats

OUTSIDE = -1  # the face beyond the rim
RIM = -1  # the line that the rim lies on

Pair = tuple[float, float]


@dataclass
class Mesh:
    """Vertices, faces as counter-clockwise rings of vertex numbers, and the line each edge lies on."""

    vertices: list[Pair] = field(default_factory=list)
    faces: list[list[int]] = field(default_factory=list)
    left_of: dict[tuple[int, int], int] = field(default_factory=dict)
    line_of: dict[tuple[int, int], int] = field(default_factory=dict)

    @classmethod
    def of(cls, corners: Floats) -> "Mesh":
        """One convex face, its corners (n, 2) counter-clockwise."""
        count = len(corners)
        mesh = cls(vertices=[(float(x), float(y)) for x, y in corners], faces=[list(range(count))])
        for a in range(count):
            b = (a + 1) % count
            mesh.left_of[a, b] = 0
            mesh.line_of[min(a, b), max(a, b)] = RIM
        return mesh

    def ring(self, face: int) -> Floats:
        """Corner coordinates of a face, (n, 2), not closed."""
        return np.array([self.vertices[v] for v in self.faces[face]])

    def cut(self, face: int, through: Pair, along: Pair, line: int) -> tuple[int, int]:
        """Cuts a convex face by the straight line through a point; the face left of `along`, the one right.

        A cut that would end close to a vertex ends in it. The left part keeps the number of the face.
        """
        ring = self.faces[face]
        xy = self.ring(face)
        side = along[0] * (xy[:, 1] - through[1]) - along[1] * (xy[:, 0] - through[0])
        nearest = 0.08 * float(np.abs(side).max())
        start, stop = self._crossings(face, xy, side, nearest)
        ring = self.faces[face]
        i, j = ring.index(start), ring.index(stop)
        one = ring[i : j + 1] if i < j else ring[i:] + ring[: j + 1]
        other = ring[j : i + 1] if j < i else ring[j:] + ring[: i + 1]
        left, right = (one, other) if self._is_left(one, through, along) else (other, one)
        new_face = len(self.faces)
        self.faces.append([])
        self._settle(face, left)
        self._settle(new_face, right)
        self.line_of[min(start, stop), max(start, stop)] = line
        return face, new_face

    def _crossings(self, face: int, xy: Floats, side: Floats, nearest: float) -> tuple[int, int]:
        """The two vertices in which a cut ends; `side` is each corner's distance from it, signed."""
        ring = list(self.faces[face])
        ends: list[int] = []
        for i, a in enumerate(ring):
            j = (i + 1) % len(ring)
            if (side[i] > 0) == (side[j] > 0):
                continue
            share = float(side[i] / (side[i] - side[j]))
            length = float(np.hypot(*(xy[j] - xy[i])))
            if share * length < nearest and a not in ends:
                ends.append(a)
            elif (1 - share) * length < nearest and ring[j] not in ends:
                ends.append(ring[j])
            else:
                ends.append(self._insert(a, ring[j], share))
        return ends[0], ends[1]

    def _is_left(self, ring: Sequence[int], through: Pair, along: Pair) -> bool:
        x, y = np.mean([self.vertices[v] for v in ring], axis=0)
        return bool(along[0] * (y - through[1]) - along[1] * (x - through[0]) > 0)

    def _insert(self, a: int, b: int, share: float) -> int:
        (ax, ay), (bx, by) = self.vertices[a], self.vertices[b]
        new = len(self.vertices)
        self.vertices.append((ax + share * (bx - ax), ay + share * (by - ay)))
        line = self.line_of.pop((min(a, b), max(a, b)))
        self.line_of[min(a, new), max(a, new)] = line
        self.line_of[min(b, new), max(b, new)] = line
        for start, stop in ((a, b), (b, a)):
            face = self.left_of.pop((start, stop), OUTSIDE)
            if face != OUTSIDE:
                ring = self.faces[face]
                ring.insert(ring.index(start) + 1, new)
                self.left_of[start, new] = self.left_of[new, stop] = face
        return new

    def _settle(self, face: int, ring: list[int]) -> None:
        self.faces[face] = ring
        for a, b in zip(ring, ring[1:] + ring[:1], strict=True):
            self.left_of[a, b] = face
