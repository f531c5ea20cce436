// The buildings of the tiles that came: where each is, and which lie in a polygon.
import { boundsOf, inBox, within } from "./plan_shape.js";
import { boxAt, createCells } from "./plan_index.js";

const SOURCE = "buildings";
// Beyond this many everything is read again from the tiles at hand: what was passed long ago is not kept for ever.
const MOST = 60000;

/** One building as a tile has it. */
function recordOf(one) {
  const box = boundsOf(one.geometry);
  return {
    code: one.properties.code, households: one.properties.households ?? 0, kind: one.properties.kind,
    geometry: one.geometry, box, size: (box[2] - box[0]) * (box[3] - box[1]),
    place: [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2],
  }; // prettier-ignore
}

/**
 * The buildings of the tiles at hand: code → {code, households, place, box, geometry}. A tile is read when it came,
 * while nothing else is to be done, or else when somebody asks; no tile is read twice.
 */
export function createBuildings(map) {
  const tiles = new Map(); // a tile's key → its buildings, as many as are read
  const waiting = new Map(); // a tile's key → its features that are not read yet
  let [index, cells, resting, most, turn] = [null, null, 0, MOST, 0];
  const idle = globalThis.requestIdleCallback ?? ((act) => setTimeout(() => act({ timeRemaining: () => 5 }), 50));

  function features(tile) {
    const found = [];
    // The library's way to ask a whole source goes through one tile after another by this.
    tile.querySourceFeatures(found, { sourceLayer: SOURCE });
    return found;
  }

  function came({ sourceId, tile }) {
    if (sourceId !== SOURCE || !tile) return;
    const key = tile.tileID.key;
    tiles.delete(key);
    waiting.set(key, tile);
    [index, cells] = [null, null];
    turn += 1;
    resting ||= idle(rest);
  }

  /** Reads what waits until the time is over. */
  function read(remains) {
    for (const [key, left] of waiting) {
      const open = Array.isArray(left) ? left : features(left);
      if (!tiles.has(key)) tiles.set(key, []);
      const done = tiles.get(key);
      while (open.length && remains()) for (let i = 0; i < 50 && open.length; i += 1) done.push(recordOf(open.pop()));
      if (open.length) {
        waiting.set(key, open);
        return;
      }
      waiting.delete(key);
      if (!remains()) return;
    }
  }

  function rest(deadline) {
    resting = 0;
    if (!map.getSource(SOURCE)) return;
    read(() => deadline.timeRemaining() > 2);
    if (waiting.size) resting = idle(rest);
    else all();
  }

  function afresh() {
    tiles.clear();
    waiting.clear();
    const records = map.querySourceFeatures(SOURCE, { sourceLayer: SOURCE }).map(recordOf);
    tiles.set("at hand", records);
    most = Math.max(MOST, 2 * records.length);
  }

  function all() {
    if (index && !waiting.size) return index;
    index = new Map();
    if (!map.getSource(SOURCE)) return index;
    read(() => true);
    let count = 0;
    for (const records of tiles.values()) count += records.length;
    if (count > most) afresh();
    for (const records of tiles.values()) {
      for (const one of records) {
        // At a tile's edge a footprint is cut: the larger part says where it is.
        const known = index.get(one.code);
        if (!known || known.size < one.size) index.set(one.code, one);
      }
    }
    cells = createCells([...index.values()], (one) => boxAt(one.place));
    return index;
  }

  map.on("sourcedata", came);
  return {
    /** Another number once other buildings came. */
    turn: () => turn,
    inside(geometry) {
      all();
      const box = boundsOf(geometry);
      return (cells?.near(box) ?? []).filter((one) => inBox(one.place, box) && within(one.place, geometry));
    },
    /** The building at a place, or null. */
    at(place) {
      all();
      const reach = 2e-3; // degrees: no house is longer
      const around = [place[0] - reach, place[1] - reach, place[0] + reach, place[1] + reach];
      return (cells?.near(around) ?? []).find((one) => one.geometry.type.endsWith("Polygon")
        ? inBox(place, one.box) && within(place, one.geometry)
        : Math.hypot(...one.place.map((value, i) => value - place[i])) < 5e-5) ?? null; // prettier-ignore
    },
    /** Whether a box lies in what is in view, so that no building of it is missing. */
    complete(box) {
      if (map.getZoom() < 14) return false;
      const view = map.getBounds();
      return inBox([view.getWest(), view.getSouth()], [-180, -90, box[0], box[1]]) &&
        inBox([view.getEast(), view.getNorth()], [box[2], box[3], 180, 90]); // prettier-ignore
    },
  };
}

/**
 * Buildings at hand that lie in another grid than in the base, as [code, how their grid stands now].
 *
 * `redrawn`: features of the base whose borders are others now; `kind`: of the grids that are shown.
 */
export function movedOf(redrawn, state, kind, buildings) {
  const moved = [];
  const takers = [...state.areas.values()].filter((one) => one.properties.kind === kind && ["changed", "new"].includes(one.properties.fate));
  const stands = new Map((state.metrics?.grids ?? []).map((one) => [one.code, one.breach ?? "ok"]));
  for (const before of redrawn) {
    const now = state.areas.get(before.properties.code);
    for (const building of buildings.inside(before.geometry)) {
      if (now && within(building.place, now.geometry)) continue;
      const taker = takers.find((one) => within(building.place, one.geometry));
      moved.push([building.code, stands.get(taker?.properties.code) ?? "none"]);
    }
  }
  return moved;
}
