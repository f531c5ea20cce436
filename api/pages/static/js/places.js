// Names and label points of the areas that are written on the map, and which of them holds a code.
import { get } from "./api.js";

function ringArea(ring) {
  let sum = 0;
  for (let i = 0, j = ring.length - 1; i < ring.length; j = i, i += 1)
    sum += ring[j][0] * ring[i][1] - ring[i][0] * ring[j][1];
  return Math.abs(sum / 2);
}

/** A point inside the largest polygon: the middle of its widest stretch on one of a few level lines. */
export function labelPoint(geometry) {
  const polygons = geometry.type === "Polygon" ? [geometry.coordinates] : geometry.coordinates;
  const rings = polygons.reduce((best, one) => (ringArea(one[0]) > ringArea(best[0]) ? one : best));
  const ys = rings[0].map((point) => point[1]);
  const [low, high] = [Math.min(...ys), Math.max(...ys)];
  let best = [rings[0][0][0], rings[0][0][1], 0];
  for (const part of [0.5, 0.42, 0.58, 0.34, 0.66]) {
    const y = low + (high - low) * part;
    const crossings = rings
      .flatMap((ring) =>
        ring.slice(1).flatMap((end, i) => {
          const begin = ring[i];
          if (begin[1] > y === end[1] > y) return [];
          return [begin[0] + ((y - begin[1]) * (end[0] - begin[0])) / (end[1] - begin[1])];
        }),
      )
      .sort((a, b) => a - b);
    const bonus = part === 0.5 ? 1.25 : 1;
    for (let i = 0; i + 1 < crossings.length; i += 2) {
      const width = (crossings[i + 1] - crossings[i]) * bonus;
      if (width > best[2]) best = [(crossings[i] + crossings[i + 1]) / 2, y, width];
    }
  }
  return best.slice(0, 2);
}

export function bounds(geometry) {
  const box = [Infinity, Infinity, -Infinity, -Infinity];
  const walk = (part) => {
    if (typeof part[0] !== "number") {
      part.forEach(walk);
      return;
    }
    box[0] = Math.min(box[0], part[0]);
    box[1] = Math.min(box[1], part[1]);
    box[2] = Math.max(box[2], part[0]);
    box[3] = Math.max(box[3], part[1]);
  };
  walk(geometry.coordinates);
  return box;
}

/** Codes of an area's path from the largest down; a path comes as "a.b.c" or as a list. */
export const pathOf = (properties) =>
  Array.isArray(properties.path) ? properties.path : String(properties.path ?? properties.code).split(".");

const known = new Map();

function keep(feature) {
  const { code, name, kind, parent, households, centre } = feature.properties;
  const place = { code, name, kind, parent, households, path: pathOf(feature.properties) };
  place.bbox = feature.bbox ?? feature.properties.bbox ?? (feature.geometry ? bounds(feature.geometry) : null);
  place.centre = centre ?? (feature.geometry ? labelPoint(feature.geometry) : null);
  known.set(code, place);
  return place;
}

/** Loads every county, town and village that the account may see; more than a page follows `next`. */
export async function loadPlaces(signal) {
  let answer = await get("/api/areas", { kind: "county,town,village", limit: 1000 }, signal);
  for (;;) {
    answer.features.forEach(keep);
    if (!answer.next) break;
    answer = await get(answer.next, {}, signal);
  }
  return known;
}

/** One area with its polygon. */
export async function loadArea(code, signal) {
  const feature = await get(`/api/areas/${encodeURIComponent(code)}`, {}, signal);
  return { ...keep(feature), geometry: feature.geometry, properties: feature.properties };
}

export const place = (code) => known.get(code) ?? null;
export const all = () => [...known.values()];
export const childrenOf = (code) => all().filter((one) => one.parent === code);

/** The village (or town) that a grid's code hangs from. */
export function holder(code, kind = "village") {
  for (let end = code.length - 1; end > 5; end -= 1) {
    const found = known.get(code.slice(0, end));
    if (found?.kind === kind) return found;
  }
  return null;
}

/** Points for the labels, as GeoJSON. */
export const labelFeatures = () => ({
  type: "FeatureCollection",
  features: all()
    .filter((one) => one.centre && ["town", "village"].includes(one.kind))
    .map((one) => ({
      type: "Feature",
      geometry: { type: "Point", coordinates: one.centre },
      properties: { code: one.code, name: one.name, kind: one.kind },
    })),
});
