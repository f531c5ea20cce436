// Snapping: the nearest stored vertex, else the nearest place on a border, else (asked for by a key) on a street.
import { createCells } from "./plan_index.js";
import { boundsOf, inBox, nearestOn, rings } from "./plan_shape.js";

const REACH = 10; // pixels
const STREET_REACH = 14;
const SAME = 4;
const STREETS = ["street-small", "street-wide", "river-edge", "railway"];
const DIGITS = 9;
const rounded = (place) => place.map((value) => Number(value.toFixed(DIGITS)));

function nearestSegment(map, point, lines, reach) {
  let best = null;
  for (const line of lines) {
    let before = null;
    for (const place of line) {
      const here = { place, at: map.project(place) };
      if (before) {
        const { share, away } = nearestOn(point, before.at, here.at);
        if (away <= reach && (!best || away < best.away)) best = { a: before.place, b: here.place, share, away };
      }
      before = here;
    }
  }
  return best;
}

const placeOn = ({ a, b, share }) => [a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share];

/**
 * Snaps to what is stored. `areas()` gives code → feature of the grids that are redrawn, and another map when they are
 * others. What a drawing library rounds on the way, `exact` gives back as it is stored.
 */
export function createSnap(map, areas) {
  let [of, cells] = [null, null];
  const exactly = new Map();

  /** The grids that may have something in a box: few, so that their vertices are looked at one by one. */
  function near(box) {
    const now = areas();
    if (of !== now) [of, cells] = [now, createCells([...now.values()], (one) => boundsOf(one.geometry))];
    return cells.near(box).flatMap(({ geometry }) => rings(geometry).map(([, , ring]) => ring));
  }

  function window_(point, reach) {
    const low = map.unproject([point.x - reach, point.y + reach]);
    const high = map.unproject([point.x + reach, point.y - reach]);
    return [low.lng, low.lat, high.lng, high.lat];
  }

  function vertex(point, reach = REACH, skip = () => false) {
    const box = window_(point, reach);
    let best = null;
    for (const ring of near(box)) {
      for (const place of ring) {
        if (!inBox(place, box) || skip(place)) continue;
        const at = map.project(place);
        const away = Math.hypot(at.x - point.x, at.y - point.y);
        if (away <= reach && (!best || away < best.away)) best = { place, away };
      }
    }
    return best?.place ?? null;
  }

  const edge = (point, reach = REACH) => nearestSegment(map, point, near(window_(point, reach)), reach);

  function street(point) {
    const box = [[point.x - STREET_REACH, point.y - STREET_REACH], [point.x + STREET_REACH, point.y + STREET_REACH]]; // prettier-ignore
    const layers = STREETS.filter((name) => map.getLayer(name));
    const lines = map.queryRenderedFeatures(box, { layers }).flatMap(({ geometry }) =>
      geometry.type === "LineString" ? [geometry.coordinates] : geometry.type === "MultiLineString" ? geometry.coordinates : [],
    ); // prettier-ignore
    const found = nearestSegment(map, point, lines, STREET_REACH);
    return found ? placeOn(found) : null;
  }

  /** The vertex, else the place on a border, within reach. */
  function stored(point, reach, skip) {
    const corner = vertex(point, reach, skip);
    if (corner) return corner;
    const along = edge(point, reach);
    return along ? placeOn(along) : null;
  }

  return {
    vertex,
    edge,
    placeOn,
    /** Where a pointer is meant to be, or null; `onStreets` prefers streets. */
    place(point, { onStreets = false, skip } = {}) {
      if (onStreets) {
        const found = street(point);
        // A tile has a street to half a metre: where it runs along a border, the border is meant.
        if (found) return stored(map.project(found), SAME, skip) ?? found;
      }
      return stored(point, REACH, skip);
    },
    /** For a library that keeps nine digits: the rounded place, remembered with what it stands for. */
    remember(place) {
      const short = rounded(place);
      exactly.set(short.join(), place);
      return short;
    },
    exact: (place) => exactly.get(rounded(place).join()) ?? place,
  };
}
