// The desk's map: filled once, then only what changed; and where the buildings are that it shows.
import { byId, calm, narrow } from "./dom.js";
import { create, scaleBar } from "./map.js";
import { EMPTY } from "./mapstyle.js";
import { labelImage, planStyle } from "./plan_style.js";
import { short } from "./plan_names.js";
import { createBuildings } from "./plan_buildings.js";
import { labelPlace } from "./plan_shape.js";
import { readTokens } from "./tokens.js";

const collection = (features) => ({ type: "FeatureCollection", features });
const feature = (geometry, properties = {}) => ({ type: "Feature", properties, geometry });
/** Pixels left free around what is looked at: nothing docks over the desk's map. */
const room = () => (narrow.matches ? 16 : 48);

/** What the map shows of an area: its own properties and no more, so that little goes to the worker. */
const shown = ({ properties, geometry }) =>
  feature(geometry, { code: properties.code, kind: properties.kind, fate: properties.fate });

function images(map, tokens) {
  const boxes = { label: [tokens.surface, tokens["line-2"]], "label-over": [tokens.surface, tokens.danger] };
  for (const [name, colours] of Object.entries(boxes)) {
    const [image, options] = labelImage(...colours);
    if (map.hasImage(name)) map.updateImage(name, image);
    else map.addImage(name, image, options);
  }
}

/** Sends a source what changed: {gone, put}; `known` are the ids that it has. */
function send(source, known, gone, put) {
  const remove = gone.filter((code) => known.delete(code));
  const add = put.filter((one) => !known.has(one.properties.code));
  const update = put
    .filter((one) => known.has(one.properties.code))
    .map((one) => ({
      id: one.properties.code,
      newGeometry: one.geometry,
      addOrUpdateProperties: Object.entries(one.properties).map(([key, value]) => ({ key, value })),
    }));
  add.forEach((one) => known.add(one.properties.code));
  if (remove.length || add.length || update.length) source.updateData({ remove, add, update });
}

/** Gives features of a source a state (pairs of code and value), and takes it from those that had one before. */
function createMarker(map, target, name) {
  let marked = new Map();
  return (pairs) => {
    const next = new Map(pairs);
    for (const id of marked.keys()) if (!next.has(id)) map.setFeatureState({ ...target, id }, { [name]: null });
    for (const [id, value] of next) if (marked.get(id) !== value) map.setFeatureState({ ...target, id }, { [name]: value });
    marked = next;
  };
}
const all = (mark) => (codes) => mark(codes.map((code) => [code, true]));

/** Makes the desk's map. `options`: bbox, basemap, scope (code), container; `quiet` for the one beneath the swipe. */
export function createPlanMap(options) {
  const tokens = readTokens();
  const container = options.container ?? byId("map");
  const map = create({ style: planStyle(tokens, options), bbox: options.bbox, view: options.view, container, room: room() });
  const ready = new Promise((resolve) => map.once("style.load", resolve)).then(() => images(map, tokens));
  if (!options.quiet) {
    // A ring around all of the map tells where keys go; a hand on the mouse knows.
    container.addEventListener("pointerdown", () => container.classList.add("by-pointer"));
    container.addEventListener("focusout", () => container.classList.remove("by-pointer"));
    map.on("move", () => scaleBar(map));
    map.once("render", () => scaleBar(map));
  }
  const known = { plan: new Set(), frames: new Set(), labels: new Set() };
  const buildings = createBuildings(map);
  const set = (name, data) => map.getSource(name)?.setData(data);
  const marks = new Map();
  let [areas, kind, flashing] = [new Map(), "micro", null];
  const has = new Map();

  const label = (one) => {
    const { code, parent } = one.properties;
    const { mark = "none", n = "" } = marks.get(code) ?? {};
    return feature({ type: "Point", coordinates: placeOf(one) }, { code, short: short(code, options.scope, parent), mark, n });
  };
  const placeOf = (one) => {
    const kept = has.get(one.properties.code);
    if (kept?.of === one.geometry) return kept.place;
    const place = labelPlace(one.geometry);
    has.set(one.properties.code, { of: one.geometry, place });
    return place;
  };
  const mine = (one) => one.properties.kind === kind || one.properties.kind === "dedicated";

  function show(next, nextKind) {
    [areas, kind] = [next, nextKind];
    const [own, frames] = [[], []];
    for (const one of areas.values()) (mine(one) ? own : frames).push(shown(one));
    known.plan = new Set(own.map((one) => one.properties.code));
    known.frames = new Set(frames.map((one) => one.properties.code));
    known.labels = new Set(known.plan);
    set("plan", collection(own));
    set("frames", collection(frames));
    set("labels", collection([...areas.values()].filter(mine).map(label)));
  }

  function change(next, { gone, put }) {
    areas = next;
    const own = put.filter(mine);
    send(map.getSource("plan"), known.plan, gone, own.map(shown));
    send(map.getSource("frames"), known.frames, gone, put.filter((one) => !mine(one)).map(shown)); // prettier-ignore
    send(map.getSource("labels"), known.labels, gone, own.map(label));
  }

  /** Colours and numbers: code → {mark, n}. Only what differs is told to the map. */
  function count(next) {
    const other = [];
    for (const [code, value] of next) {
      const before = marks.get(code);
      if (before?.mark === value.mark && before?.n === value.n) continue;
      marks.set(code, value);
      map.setFeatureState({ source: "plan", id: code }, { mark: value.mark });
      if (known.labels.has(code) && areas.has(code)) other.push(label(areas.get(code)));
    }
    if (other.length) send(map.getSource("labels"), known.labels, [], other);
  }

  /** Rings a place for a while, and leaves the map where it is. */
  function mark(place) {
    clearTimeout(flashing);
    set("flash", feature({ type: "Point", coordinates: place }));
    flashing = setTimeout(() => set("flash", EMPTY), 4000);
  }

  const camera = { padding: room(), duration: calm.matches ? 0 : 450, maxZoom: 17.6 };
  return {
    map,
    ready,
    buildings,
    show,
    change,
    count,
    scope: (geometry) => set("scope", feature(geometry)),
    base: (geometries) => set("base", collection(geometries.map((one) => feature(one)))),
    chosen: (geometry) => set("chosen", geometry ? feature(geometry) : EMPTY),
    preview: (features) => set("preview", collection(features)),
    handles: (features) => set("handles", collection(features)),
    /** Other outlines of areas while they are being drawn: [code, geometry] pairs. */
    sketch(outlines) {
      const update = [...outlines].map(([id, newGeometry]) => ({ id, newGeometry }));
      if (update.length) map.getSource("plan").updateData({ update });
    },
    pickedGrids: all(createMarker(map, { source: "plan" }, "picked")),
    pickedBuildings: all(createMarker(map, { source: "buildings", sourceLayer: "buildings" }, "picked")),
    /** Buildings added since this edition are tinted. */
    basedOn: (edition) => map.setGlobalStateProperty("base", edition),
    /** Pairs of code and how the grid stands to which a building goes: "over", "under", "ok", "none". */
    movedBuildings: createMarker(map, { source: "buildings", sourceLayer: "buildings" }, "moved"),
    fit: (box, extra = {}) => map.fitBounds(box, { ...camera, ...extra }),
    zoom: (step) => map.easeTo({ zoom: map.getZoom() + step, duration: calm.matches ? 0 : 200 }),
    mark,
    flash(place) {
      mark(place);
      map.easeTo({ center: place, zoom: Math.max(map.getZoom(), 16), duration: camera.duration });
    },
    theme() {
      const next = readTokens();
      images(map, next);
      for (const layer of planStyle(next, options).layers)
        for (const [name, value] of Object.entries(layer.paint ?? {})) map.setPaintProperty(layer.id, name, value);
    },
    label: (text) => map.getCanvas().setAttribute("aria-label", text),
  };
}
