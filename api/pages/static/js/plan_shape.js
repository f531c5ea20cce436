// Flat geometry for previews: halves of a cut, where points lie, shared vertices. What counts is drawn by the service;
// here coordinates are only ever copied, never rounded, so that what is sent back is what was stored.

/** Rings of a polygon or of several, each as [polygon, ring, positions]. */
export function rings(geometry) {
  const polygons = geometry.type === "Polygon" ? [geometry.coordinates] : geometry.coordinates;
  return polygons.flatMap((polygon, p) => polygon.map((ring, r) => [p, r, ring]));
}

/** West, south, east and north of a geometry. */
export function boundsOf(geometry) {
  const box = [Infinity, Infinity, -Infinity, -Infinity];
  widen(box, geometry.coordinates);
  return box;
}

function widen(box, part) {
  if (typeof part[0] !== "number") {
    for (const each of part) widen(box, each);
    return;
  }
  const [x, y] = part;
  if (x < box[0]) box[0] = x;
  if (y < box[1]) box[1] = y;
  if (x > box[2]) box[2] = x;
  if (y > box[3]) box[3] = y;
}

export const inBox = ([x, y], [west, south, east, north]) => x >= west && x <= east && y >= south && y <= north;

/** Whether a place lies in a ring (even-odd). */
export function inRing([x, y], ring) {
  let inside = false;
  let before = ring[ring.length - 1];
  for (const here of ring) {
    // Most edges lie above or below: nothing else is read of them.
    if (here[1] > y !== before[1] > y) {
      if (x < ((before[0] - here[0]) * (y - here[1])) / (before[1] - here[1]) + here[0]) inside = !inside;
    }
    before = here;
  }
  return inside;
}

/** Whether a place lies in a polygon or several. */
export function within(place, geometry) {
  let inside = false;
  const polygons = geometry.type === "Polygon" ? [geometry.coordinates] : geometry.coordinates;
  for (const polygon of polygons) for (const ring of polygon) if (inRing(place, ring)) inside = !inside;
  return inside;
}

/** Where two segments cross: [share of the first, share of the second], or null. */
export function crossing(a, b, c, d) {
  const [rx, ry, sx, sy] = [b[0] - a[0], b[1] - a[1], d[0] - c[0], d[1] - c[1]];
  const det = rx * sy - ry * sx;
  if (det === 0) return null;
  const u = ((c[0] - a[0]) * sy - (c[1] - a[1]) * sx) / det;
  const v = ((c[0] - a[0]) * ry - (c[1] - a[1]) * rx) / det;
  return u >= 0 && u <= 1 && v >= 0 && v <= 1 ? [u, v] : null;
}

const between = (a, b, share) => [a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share];

/** Where a line meets a ring, in the line's order: {along, on, place}; `on` is the place on the ring. */
function meetings(line, ring) {
  const met = [];
  for (let i = 0; i + 1 < line.length; i += 1) {
    for (let j = 0; j + 1 < ring.length; j += 1) {
      const found = crossing(line[i], line[i + 1], ring[j], ring[j + 1]);
      if (found) met.push({ along: i + found[0], on: j + found[1], place: between(ring[j], ring[j + 1], found[1]) });
    }
  }
  met.sort((a, b) => a.along - b.along);
  return met.filter((one, i) => !i || one.along - met[i - 1].along > 1e-9);
}

function middle(line, from, to) {
  const at = (from + to) / 2;
  const i = Math.min(Math.floor(at), line.length - 2);
  return between(line[i], line[i + 1], at - i);
}

/** The ring's positions strictly between two places on it, going forward. */
function stretch(ring, from, to) {
  const open = ring.slice(0, -1);
  const found = [];
  const span = (to - from + open.length) % open.length || open.length;
  for (let k = 1; ; k += 1) {
    const at = Math.floor(from) + k;
    if (at - from >= span) break;
    found.push(open[at % open.length]);
  }
  return found;
}

const MILLIMETRE = 1e-8; // degrees

/** A line that reaches a little farther at both ends: an end that was put on a border lies beside it by its last digit. */
function reaching(line) {
  const beyond = (end, next) => {
    const away = Math.hypot(end[0] - next[0], end[1] - next[1]);
    return away ? between(next, end, 1 + MILLIMETRE / away) : end;
  };
  return [beyond(line[0], line[1]), ...line.slice(1, -1), beyond(line.at(-1), line.at(-2))];
}

/**
 * A polygon's outer ring cut by a line: {pieces: [ring, ring], chain} for two pieces, else {count}.
 * Holes are left out of account: a preview.
 */
export function halves(geometry, drawn) {
  if (drawn.length < 2) return { count: 1 };
  const line = reaching(drawn);
  const cuts = [];
  for (const [, r, ring] of rings(geometry)) {
    if (r > 0) continue;
    const met = meetings(line, ring);
    for (let k = 0; k + 1 < met.length; k += 1) {
      const [a, b] = [met[k], met[k + 1]];
      if (inRing(middle(line, a.along, b.along), ring)) cuts.push({ ring, a, b });
    }
  }
  if (cuts.length !== 1) return { count: cuts.length + 1 };
  const [{ ring, a, b }] = cuts;
  const inner = line.slice(Math.floor(a.along) + 1, Math.ceil(b.along - 1e-12));
  const chain = [a.place, ...inner, b.place];
  const one = [...chain, ...stretch(ring, b.on, a.on), a.place];
  const other = [...[...chain].reverse(), ...stretch(ring, a.on, b.on), b.place];
  return { count: 2, chain, pieces: [one, other] };
}

const RAD = Math.PI / 180;

/** Metres along a line of positions. */
export function lengthM(line) {
  let sum = 0;
  for (let i = 1; i < line.length; i += 1) {
    const [x1, y1] = line[i - 1];
    const [x2, y2] = line[i];
    const s = Math.sin(((y2 - y1) * RAD) / 2) ** 2;
    const c = Math.cos(y1 * RAD) * Math.cos(y2 * RAD) * Math.sin(((x2 - x1) * RAD) / 2) ** 2;
    sum += 2 * 6371008.8 * Math.asin(Math.sqrt(s + c));
  }
  return sum;
}

/** A place well inside: in the widest stretch of a few scan lines across the largest ring. */
export function labelPlace(geometry) {
  const outer = rings(geometry).filter(([, r]) => r === 0);
  const size = ([, , ring]) => {
    const [w, s, e, n] = boundsOf({ coordinates: ring });
    return (e - w) * (n - s);
  };
  const [, , ring] = outer.reduce((best, one) => (size(one) > size(best) ? one : best));
  const [, south, , north] = boundsOf({ coordinates: ring });
  let best = { wide: -1, place: ring[0] };
  for (const share of [0.5, 0.4, 0.6, 0.3, 0.7]) {
    const y = south + (north - south) * share;
    const xs = [];
    for (let i = 0; i + 1 < ring.length; i += 1) {
      const [[x1, y1], [x2, y2]] = [ring[i], ring[i + 1]];
      if (y1 > y !== y2 > y) xs.push(x1 + ((x2 - x1) * (y - y1)) / (y2 - y1));
    }
    xs.sort((a, b) => a - b);
    for (let i = 0; i + 1 < xs.length; i += 2) {
      const wide = (xs[i + 1] - xs[i]) * (1 - Math.abs(share - 0.5));
      if (wide > best.wide) best = { wide, place: [(xs[i] + xs[i + 1]) / 2, y] };
    }
  }
  return best.place;
}

const name = ([x, y]) => `${x},${y}`;
export const keyOf = name;

/** Which areas have a vertex, and which an edge: for what is shared. `areas`: [code, geometry] pairs. */
export function shared(areas) {
  const vertices = new Map();
  const edges = new Map();
  const put = (map, key, code) => {
    const codes = map.get(key);
    if (!codes) map.set(key, [code]);
    else if (!codes.includes(code)) codes.push(code);
  };
  for (const [code, geometry] of areas) {
    for (const [, , ring] of rings(geometry)) {
      // Writing a coordinate out is what takes time here: once each.
      const names = ring.map(name);
      for (let i = 0; i + 1 < ring.length; i += 1) {
        put(vertices, names[i], code);
        put(edges, joined(names[i], names[i + 1]), code);
      }
    }
  }
  return { vertices, edges };
}

/** The same name in both directions. */
export const edgeName = (a, b) => joined(name(a), name(b));
const joined = (one, other) => (one < other ? `${one} ${other}` : `${other} ${one}`);

/** A geometry with `change(ring)` applied to every ring; rings that come back as they were stay the same objects. */
export function withRings(geometry, change) {
  const polygon = (rings_) => rings_.map(change);
  return geometry.type === "Polygon"
    ? { type: "Polygon", coordinates: polygon(geometry.coordinates) }
    : { type: "MultiPolygon", coordinates: geometry.coordinates.map(polygon) };
}

/** Every occurrence of a vertex at another place. */
export function vertexMoved(geometry, from, to) {
  const key = name(from);
  return withRings(geometry, (ring) =>
    ring.some((one) => name(one) === key) ? ring.map((one) => (name(one) === key ? to : one)) : ring,
  );
}

/** A vertex more on an edge, wherever the geometry has it. */
export function vertexAdded(geometry, a, b, place) {
  const key = edgeName(a, b);
  return withRings(geometry, (ring) => {
    const at = ring.findIndex((one, i) => i + 1 < ring.length && edgeName(one, ring[i + 1]) === key);
    return at < 0 ? ring : [...ring.slice(0, at + 1), place, ...ring.slice(at + 1)];
  });
}

/** The nearest place on a segment, and how far it is, in the units of `project`. */
export function nearestOn(point, a, b) {
  const [dx, dy] = [b.x - a.x, b.y - a.y];
  const square = dx * dx + dy * dy;
  const share = square ? Math.min(1, Math.max(0, ((point.x - a.x) * dx + (point.y - a.y) * dy) / square)) : 0;
  return { share, away: Math.hypot(point.x - a.x - share * dx, point.y - a.y - share * dy) };
}
