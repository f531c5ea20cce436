// Reshape: a vertex of a shared border is dragged, and whoever shares it follows. What is sent are the stored
// coordinates, all but those that were dragged.
import { h } from "./dom.js";
import { t } from "./i18n.js";
import { boundsOf, edgeName, inBox, keyOf, nearestOn, rings, shared, vertexAdded, vertexMoved } from "./plan_shape.js";
import { pieceRow } from "./plan_tool_cut.js";

const GRAB = 11;
const MOST_HANDLES = 1500;
const codeOf = (one) => one.properties.code;

export function borderTool(desk) {
  const { view, snap } = desk;
  let code = null;
  let now = new Map(); // code → geometry while it is another one than stored
  let common = null;
  let holding = null;
  let frame = 0;
  let undo = [];
  const roles = new Map(); // a vertex's name → whether it is free, until borders are others
  const pointing = { at: null, frame: 0 };

  const geometryOf = (one) => now.get(one) ?? desk.areas().get(one).geometry;
  const siblings = () => {
    const own = desk.areas().get(code);
    return desk.grids().filter((one) => one.properties.parent === own.properties.parent && one.properties.kind === own.properties.kind);
  };
  const reindex = () => {
    roles.clear();
    common = code ? shared(siblings().map((one) => [codeOf(one), geometryOf(codeOf(one))])) : null;
  };
  /** A vertex can be dragged when every border that ends in it lies between grids of one parent. */
  const free = (ring, i) => {
    const key = keyOf(ring[i]);
    if (!roles.has(key)) roles.set(key, isFree(ring, i));
    return roles.get(key);
  };
  const isFree = (ring, i) => {
    const open = ring.length - 1;
    const [before, here, after] = [ring[(i + open - 1) % open], ring[i % open], ring[(i + 1) % open]];
    return [[before, here], [here, after]].every(([a, b]) => (common.edges.get(edgeName(a, b)) ?? []).length > 1) &&
      common.vertices.get(keyOf(here)).every((each) => rings(geometryOf(each)).every(([, , its]) => its.every((place, k) =>
        k === its.length - 1 || keyOf(place) !== keyOf(here) || [[its[(k + its.length - 2) % (its.length - 1)], place], [place, its[k + 1]]]
          .every(([a, b]) => (common.edges.get(edgeName(a, b)) ?? []).length > 1)))); // prettier-ignore
  };

  function handles() {
    if (!code) return view.handles([]);
    const box = view.map.getBounds().toArray().flat();
    const points = [];
    for (const [, , ring] of rings(geometryOf(code))) {
      for (let i = 0; i + 1 < ring.length && points.length < MOST_HANDLES; i += 1) {
        if (!inBox(ring[i], box)) continue;
        const role = holding && keyOf(holding.place) === keyOf(ring[i]) ? "held" : free(ring, i) ? "free" : "locked";
        points.push({ type: "Feature", properties: { role }, geometry: { type: "Point", coordinates: ring[i] } });
      }
    }
    return view.handles(points);
  }

  /** The free vertex under the pointer, or the shared edge on which one would be. */
  function grabbed(point) {
    let best = null;
    for (const [, , ring] of rings(geometryOf(code))) {
      for (let i = 0; i + 1 < ring.length; i += 1) {
        const at = view.map.project(ring[i]);
        const away = Math.hypot(at.x - point.x, at.y - point.y);
        if (away <= GRAB && (!best || away < best.away)) best = { away, place: ring[i], free: free(ring, i) };
      }
    }
    if (best) return best.free ? { place: best.place } : null;
    for (const [, , ring] of rings(geometryOf(code))) {
      for (let i = 0; i + 1 < ring.length; i += 1) {
        const [a, b] = [ring[i], ring[i + 1]];
        const { away } = nearestOn(point, view.map.project(a), view.map.project(b));
        if (away <= GRAB * 0.7 && (common.edges.get(edgeName(a, b)) ?? []).length > 1) return { edge: [a, b] };
      }
    }
    return null;
  }

  function put(changed) {
    for (const [each, geometry] of changed) now.set(each, geometry);
    view.sketch(changed);
  }

  function down(event) {
    if (!code || event.originalEvent.button) return;
    const found = grabbed(event.point);
    if (!found) return;
    event.preventDefault();
    undo.push(new Map(now));
    if (found.edge) {
      const place = [event.lngLat.lng, event.lngLat.lat];
      const [a, b] = found.edge;
      put(common.edges.get(edgeName(a, b)).map((each) => [each, vertexAdded(geometryOf(each), a, b, place)]));
      reindex();
      found.place = place;
    }
    holding = { place: found.place, from: found.place, who: common.vertices.get(keyOf(found.place)), moved: false };
    view.map.dragPan.disable();
    view.map.getCanvas().style.cursor = "grabbing";
    handles();
  }

  function drag(event) {
    if (!holding) return;
    holding.event = event;
    frame ||= requestAnimationFrame(() => {
      frame = 0;
      if (holding) step(holding.event);
    });
  }

  /** Both neighbours follow; a vertex snaps to any other and to borders, but not to those that it drags along. */
  function step({ point, lngLat }) {
    const own = keyOf(holding.from);
    const to = snap.vertex(point, 8, (place) => keyOf(place) === own) ?? [lngLat.lng, lngLat.lat];
    if (keyOf(to) === keyOf(holding.place)) return;
    put(holding.who.map((each) => [each, vertexMoved(geometryOf(each), holding.place, to)]));
    holding.place = to;
    holding.moved = true;
    handles();
  }

  function up() {
    if (!holding) return;
    if (frame) cancelAnimationFrame(frame);
    if (frame && holding.event) step(holding.event);
    frame = 0;
    if (!holding.moved) undo.pop();
    holding = null;
    view.map.dragPan.enable();
    view.map.getCanvas().style.cursor = "";
    reindex();
    handles();
    show();
  }

  function show() {
    if (!now.size) {
      desk.card(code ? [h("b", {}, desk.short(desk.areas().get(code))), h("p", { class: "dim small" }, t("plan.reshape.how"))] : null, code ? boundsOf(geometryOf(code)) : null);
      return;
    }
    const rows = [...now].map(([each, geometry]) => {
      const one = desk.areas().get(each);
      const own = desk.view.buildings.inside(geometry).reduce((sum, building) => sum + building.households, 0);
      const about = !desk.view.buildings.complete(boundsOf(geometry));
      return desk.seesHouseholds() ? pieceRow(desk.short(one), own, desk.rangeOf(one), about) : h("div", { class: "piece" }, desk.short(one));
    });
    desk.card([
      h("div", { class: "card-head" }, h("b", {}, t("plan.reshape.title", { code: desk.short(desk.areas().get(code)) }))),
      rows,
      desk.confirm(t("plan.confirm"), confirm),
    ], boundsOf(geometryOf(code))); // prettier-ignore
  }

  function restore(to = new Map()) {
    view.sketch([...now.keys()].map((each) => [each, to.get(each) ?? desk.areas().get(each)?.geometry ?? { type: "Polygon", coordinates: [] }]));
    now = to;
    reindex();
    handles();
    show();
  }

  async function confirm() {
    if (!now.size) return;
    const outline = geometryOf(code);
    const parts = outline.type === "Polygon" ? [outline.coordinates] : outline.coordinates;
    if (parts.length !== 1) return;
    const done = await desk.edit("reshape", { grid: code, polygon: { type: "Polygon", coordinates: parts[0] } });
    if (done) choose(code);
  }

  function choose(next) {
    const still = new Map(now);
    now = new Map();
    undo = [];
    view.sketch([...still.keys()].filter((each) => desk.areas().has(each)).map((each) => [each, desk.areas().get(each).geometry]));
    const one = desk.areas().get(next);
    const parts = !one ? 0 : one.geometry.type === "Polygon" ? 1 : one.geometry.coordinates.length;
    code = parts === 1 ? next : null;
    reindex();
    handles();
    if (parts > 1) desk.card(h("p", { class: "small" }, t("plan.reshape.parts")));
    else show();
  }

  const hover = ({ point }) => {
    pointing.at = point;
    pointing.frame ||= requestAnimationFrame(() => {
      pointing.frame = 0;
      if (holding || !code) return;
      const cursor = grabbed(pointing.at) ? "grab" : "";
      if (cursor !== view.map.getCanvas().style.cursor) view.map.getCanvas().style.cursor = cursor;
    });
  };

  return {
    begin() {
      view.map.on("mousedown", down);
      view.map.on("mousemove", drag);
      view.map.on("mousemove", hover);
      view.map.on("moveend", handles);
      addEventListener("mouseup", up);
      choose(desk.grids().some((one) => codeOf(one) === desk.selected()) ? desk.selected() : null);
    },
    end() {
      for (const [type, hears] of [["mousedown", down], ["mousemove", drag], ["mousemove", hover], ["moveend", handles]]) view.map.off(type, hears); // prettier-ignore
      removeEventListener("mouseup", up);
      cancelAnimationFrame(pointing.frame);
      pointing.frame = 0;
      view.map.getCanvas().style.cursor = "";
      choose(null);
      desk.card(null);
    },
    click(one) {
      if (now.size || !one) return;
      choose(codeOf(one));
    },
    recount: () => now.size && !holding && show(),
    /** The last drag taken back before anything is sent; false where there is none. */
    back() {
      if (!undo.length) return false;
      const before = undo.pop();
      restore(before);
      return true;
    },
    confirm,
    cancel() {
      if (now.size) {
        undo = [];
        restore();
        return true;
      }
      return false;
    },
  };
}
