// Names and places of the areas from the county down to the village, and which of them holds a code.
import { get } from "./api.js";

/** Codes of an area's path from the largest down; a path comes as "a.b.c" or as a list. */
export const pathOf = (properties) =>
  Array.isArray(properties.path) ? properties.path : String(properties.path ?? properties.code).split(".");

const known = new Map();

function keep(feature) {
  const { code, name, kind, parent, households, bbox } = feature.properties;
  const place = { code, name, kind, parent, households, path: pathOf(feature.properties) };
  const [west, south, east, north] = (place.bbox = bbox ?? feature.bbox);
  place.centre = [(west + east) / 2, (south + north) / 2];
  known.set(code, place);
  return place;
}

/** Loads every county, town and village that the account may see; more than a page follows `next`. */
export async function loadPlaces(signal) {
  let answer = await get("/api/areas", { kind: "county,town,village", geometry: "false", limit: 1000 }, signal);
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

/** The village (or town) that a grid's code hangs from. */
export function holder(code, kind = "village") {
  for (let end = code.length - 1; end > 5; end -= 1) {
    const found = known.get(code.slice(0, end));
    if (found?.kind === kind) return found;
  }
  return null;
}
