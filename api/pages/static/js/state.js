// What is being looked at. The address carries all of it, so that a link or a reload gives the same view.
import { isDay, preset, presetOf } from "./days.js";

export const CATEGORIES = ["dispute", "police_case", "appeal", "hazard", "service", "other"];
export const MEASURES = ["count", "per_100_households", "change", "hotspot"];
export const UNITS = ["micro", "comprehensive", "village", "hex"];
const DEFAULT_PERIOD = "90";
const LAYERS = ["streets", "buildings", "labels"];
const SHOWN = ["streets", "labels"];

/** Reads an address' query; whatever is unknown or malformed gives way to the default. */
export function parse(query, today) {
  const params = new URLSearchParams(query);
  const one = (name, allowed, fallback) => (allowed.includes(params.get(name)) ? params.get(name) : fallback);
  const wall = params.get("wall") === "1";
  const asked = (params.get("category") ?? "").split(",").filter((name) => CATEGORIES.includes(name));
  const all = wall ? CATEGORIES.filter((name) => name !== "police_case") : CATEGORIES;
  const period =
    isDay(params.get("from")) && isDay(params.get("to")) && params.get("from") < params.get("to")
      ? { from: params.get("from"), to: params.get("to") }
      : preset(DEFAULT_PERIOD, today);
  const code = (name) => (/^[A-Za-z0-9_]+$/.test(params.get(name) ?? "") ? params.get(name) : null);
  const layers = (params.get("layers") ?? "").split(",").filter((name) => LAYERS.includes(name));
  return {
    area: code("area"),
    grid: code("grid"),
    category: asked.length ? CATEGORIES.filter((name) => asked.includes(name)) : all,
    measure: one("measure", MEASURES, wall ? "count" : "per_100_households"),
    by: one("by", UNITS, wall ? "hex" : "micro"),
    boundaries: one("boundaries", ["then", "today"], "today"),
    ...period,
    preset: presetOf(period.from, period.to, today),
    sort: one("sort", ["code", "value"], "code"),
    level: one("level", ["town", "village", "micro"], null),
    layers: params.has("layers") ? layers : SHOWN,
    view: parseView(params),
    wall,
    hold: params.get("hold") === "1",
  };
}

/** Where an address looks: {lat, lon, zoom}, or null. */
export function parseView(params) {
  const key = [...params.keys()].find((name) => name.startsWith("@"));
  if (!key) return null;
  const [lat, lon, zoom] = key.slice(1).split(",").map(Number);
  const sound = Math.abs(lat) <= 85 && Math.abs(lon) <= 180 && zoom >= 0 && zoom <= 22;
  return sound ? { lat, lon, zoom } : null;
}

/** The same as a part of an address. */
export const formatView = ({ lat, lon, zoom }) => `@${lat.toFixed(6)},${lon.toFixed(6)},${zoom.toFixed(2)}`;

/** The query of a state; defaults are left out, so that a fresh page has a bare address. */
export function format(state, today) {
  const parts = [];
  const put = (name, value, fallback) => {
    if (value && value !== fallback) parts.push(`${name}=${value}`);
  };
  const usual = state.wall ? CATEGORIES.filter((name) => name !== "police_case") : CATEGORIES;
  const period = preset(DEFAULT_PERIOD, today);
  put("area", state.area);
  put("category", state.category.join(","), usual.join(","));
  put("measure", state.measure, state.wall ? "count" : "per_100_households");
  put("by", state.by, state.wall ? "hex" : "micro");
  put("boundaries", state.boundaries, "today");
  if (state.from !== period.from || state.to !== period.to) parts.push(`from=${state.from}`, `to=${state.to}`);
  put("grid", state.grid);
  put("level", state.level);
  put("sort", state.sort, "code");
  if (state.layers.join() !== SHOWN.join()) parts.push(`layers=${state.layers.join(",")}`);
  if (state.wall) parts.push("wall=1");
  if (state.hold) parts.push("hold=1");
  if (state.view) parts.push(formatView(state.view));
  return parts.length ? `?${parts.join("&")}` : "";
}

const PUSHED = ["area", "grid", "measure", "by"];

/** A store: get() the state, set() a part of it, on() hear of keys that changed. */
export function createStore(today) {
  let state = parse(location.search, today());
  const listeners = [];
  const changed = (before) =>
    Object.keys(state).filter((key) => JSON.stringify(state[key]) !== JSON.stringify(before[key]));
  function tell(keys) {
    for (const [wanted, listener] of listeners) if (keys.some((key) => wanted.includes(key))) listener(state, keys);
  }
  function set(patch) {
    const before = state;
    state = { ...state, ...patch };
    if ("from" in patch) state.preset = presetOf(state.from, state.to, today());
    const keys = changed(before);
    if (!keys.length) return;
    const query = format(state, today()) || location.pathname;
    const push = !state.wall && keys.some((key) => PUSHED.includes(key));
    history[push ? "pushState" : "replaceState"](null, "", query);
    tell(keys);
  }
  addEventListener("popstate", () => {
    const before = state;
    state = parse(location.search, today());
    tell([...changed(before), "back"]);
  });
  return { get: () => state, set, on: (keys, listener) => listeners.push([keys, listener]) };
}
