// Values for the map, the legend and the list, in one shape whatever the unit.
import { get } from "./api.js";

/** Resolution of hexagons at a zoom: about 20 px across. */
export const hexResolution = (zoom) =>
  zoom < 9 ? 6 : zoom < 10.4 ? 7 : zoom < 11.8 ? 8 : zoom < 13.3 ? 9 : zoom < 14.8 ? 10 : 11;

/** The filters of a state as the API takes them. */
export function filters(state, allCategories) {
  const category = state.category.length === allCategories.length ? null : state.category.join(",");
  return { area: state.area, category, from: state.from, to: state.to };
}

function item(feature) {
  const { code, cell, name, households, count, value, withheld, z, p, ...rest } = feature.properties ?? feature;
  return {
    id: String(cell ?? code),
    code,
    cell,
    name,
    households,
    count,
    value,
    withheld: Boolean(withheld),
    z,
    p,
    rest,
  };
}

function normalise(answer, asked) {
  const rows = answer.features ?? answer.values ?? [];
  return {
    items: rows.map(item),
    breaks: answer.breaks ?? [],
    measure: answer.measure ?? asked.measure,
    withholdBelow: answer.withhold_below ?? null,
    edition: answer.edition ?? null,
    by: asked.by === "hex" ? "hex" : asked.kind,
    geojson: asked.by === "hex" ? answer : null,
  };
}

async function pages(params, signal) {
  const first = await get("/api/heat", params, signal);
  for (let next = first.next; next;) {
    const more = await get(next, {}, signal);
    first.features.push(...more.features);
    next = more.next;
  }
  return first;
}

/** Asks for heat. `asked` has by ("grid" or "hex"), kind or res, measure, boundaries and the filters. */
export async function loadHeat(asked, signal) {
  const params = { ...asked, geometry: asked.by === "hex" ? null : "false" };
  return normalise(await pages(params, signal), asked);
}

/** Heat for the map: beside the micro-grids the dedicated grids, which take their place where they lie. */
export async function loadMapHeat(asked, signal) {
  if (asked.kind !== "micro") return loadHeat(asked, signal);
  const dedicated = loadHeat({ ...asked, kind: "dedicated" }, signal).catch((error) => {
    if (error.name === "AbortError") throw error;
    return null;
  });
  const [heat, more] = await Promise.all([loadHeat(asked, signal), dedicated]);
  return { ...heat, items: [...heat.items, ...(more?.items ?? [])] };
}

/** What the map asks for in a state: hexagons are always counts. */
export function mapQuery(state, allCategories, zoom) {
  const common = {
    ...filters(state, allCategories),
    boundaries: state.boundaries === "today" ? null : state.boundaries,
  };
  if (state.by === "hex") return { by: "hex", res: hexResolution(zoom), measure: "count", ...common };
  return {
    by: "grid",
    kind: state.by,
    measure: state.measure,
    compare: state.measure === "change" ? "year" : null,
    ...common,
  };
}
