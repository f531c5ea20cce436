// Tools that draw: split by a line, a new grid by a polygon, and measuring.
import { h } from "./dom.js";
import { number, t } from "./i18n.js";
import { band, breachOf } from "./plan_band.js";
import { boundsOf, crossing, halves, inRing, lengthM, rings } from "./plan_shape.js";

const polygon = (ring) => ({ type: "Polygon", coordinates: [ring] });
const feature = (geometry, properties = {}) => ({ type: "Feature", properties, geometry });
const middleOf = (ring) => {
  const [west, south, east, north] = boundsOf({ coordinates: ring });
  return [(west + east) / 2, (south + north) / 2];
};

/** Which side of the other a piece lies on: north, south, east or west. */
function side(one, other) {
  const [[x1, y1], [x2, y2]] = [middleOf(one), middleOf(other)];
  const flat = Math.cos((y1 * Math.PI) / 180);
  if (Math.abs(y1 - y2) > Math.abs(x1 - x2) * flat) return y1 > y2 ? "north" : "south";
  return x1 > x2 ? "east" : "west";
}

/** How many buildings a chain runs through. */
function buildingsCut(chain, buildings) {
  let count = 0;
  for (const { geometry } of buildings) {
    if (!geometry.type.endsWith("Polygon")) continue;
    const runs = rings(geometry).some(([, , ring]) =>
      chain.some((a, i) => i + 1 < chain.length && ring.some((c, j) => j + 1 < ring.length && crossing(a, chain[i + 1], c, ring[j + 1]))),
    ); // prettier-ignore
    if (runs) count += 1;
  }
  return count;
}

/** Rows of a card: name, band, households. */
export const pieceRow = (name, households, range, about) =>
  h("div", { class: "piece" }, h("span", {}, name), band(households, range), h("b", {}, `${about ? "≈ " : ""}${number(households)}`));

/** Split by a line: the halves and their households stand there before anything is sent. */
export function splitTool(desk) {
  let [drawn, finished, found] = [[], false, null];

  /** The grid that the line cuts in two: the chosen one where it does, else where most of the line runs. */
  function cutBy(line) {
    if (line.length < 2) return null;
    const box = boundsOf({ coordinates: line });
    let [best, other] = [null, null];
    for (const one of desk.gridsNear(box)) {
      const cut = halves(one.geometry, line);
      if (cut.count < 2) continue;
      if (cut.count > 2) {
        other ??= { one, cut, line };
        continue;
      }
      const length = one.properties.code === desk.selected() ? Infinity : lengthM(cut.chain);
      if (!best || length > best.length) best = { one, cut, line, length };
    }
    return best ?? other;
  }

  function look() {
    // What is set down counts first; the stretch to the pointer only while it does not reach across yet.
    const fixed = finished ? drawn : drawn.slice(0, -1);
    found = cutBy(fixed);
    if (found?.cut.count !== 2 && !finished) found = cutBy(drawn) ?? found;
    show();
  }

  function pieces() {
    const { one, cut } = found;
    const inside = desk.view.buildings.inside(one.geometry);
    const counted = cut.pieces.map((ring) => {
      const own = inside.filter((each) => inRing(each.place, ring));
      return { ring, households: own.reduce((sum, each) => sum + each.households, 0) };
    });
    const larger = counted[1].households > counted[0].households ? 1 : 0;
    return { counted, larger, inside };
  }

  function show() {
    if (!found || found.cut.count !== 2) {
      desk.view.preview([]);
      desk.card(found ? h("p", { class: "small" }, t("plan.split.pieces", { code: desk.short(found.one), n: found.cut.count })) : null);
      return;
    }
    const { one, cut } = found;
    const { counted, larger, inside } = pieces();
    const range = desk.rangeOf(one);
    const known = desk.seesHouseholds();
    const about = !desk.view.buildings.complete(boundsOf(one.geometry));
    const rows = counted.map(({ ring, households }, i) => {
      const name = `${t(`plan.side.${side(ring, counted[1 - i].ring)}`)} ${i === larger ? desk.short(one) : t("plan.new_code")}`;
      return known ? pieceRow(name, households, range, about) : h("div", { class: "piece" }, name);
    });
    const fits = known && counted.every((each) => !breachOf(each.households, range));
    const cuts = buildingsCut(cut.chain, inside);
    desk.view.preview([
      ...counted.map(({ ring }, i) => feature(polygon(ring), { shade: i === larger ? 0.08 : 0.26 })),
      feature({ type: "LineString", coordinates: cut.chain }),
    ]);
    desk.card([
      h("div", { class: "card-head" }, h("b", {}, t("plan.split.title", { code: desk.short(one) })), fits ? h("span", { class: "tag done" }, t("plan.fits")) : null),
      rows,
      h("p", { class: "dim small" }, [t(cuts ? "plan.split.cuts" : "plan.split.cuts_none", { n: cuts }), about ? t("plan.split.about") : null].filter(Boolean).join(" · ")),
      desk.confirm(t("plan.confirm"), confirm),
    ], boundsOf(one.geometry)); // prettier-ignore
  }

  async function confirm() {
    if (found?.cut.count !== 2) return;
    const { one, line } = found;
    const done = await desk.edit("split", { grid: one.properties.code, line: { type: "LineString", coordinates: line } });
    if (done) restart();
  }

  function restart() {
    [drawn, finished, found] = [[], false, null];
    desk.sketch.again();
    desk.view.preview([]);
    desk.card(null);
  }

  return {
    begin: () =>
      desk.sketch.begin("linestring", (line, over) => {
        [drawn, finished] = [line, over];
        look();
      }),
    end: () => {
      desk.sketch.end();
      desk.view.preview([]);
    },
    recount: () => found && show(),
    confirm,
    cancel() {
      if (!drawn.length) return false;
      restart();
      return true;
    },
  };
}

/** A new grid: a polygon, then its name. */
export function createTool(desk) {
  let [ring, name] = [[], ""];
  const field = () =>
    h("input", {
      class: "field", value: name, maxlength: 100, "aria-label": t("plan.name"), placeholder: t("plan.name_own"),
      oninput: (event) => (name = event.target.value),
    }); // prettier-ignore

  function changed(places, over) {
    ring = over ? places : [];
    if (!over) return;
    const own = desk.view.buildings.inside(polygon(ring));
    const households = own.reduce((sum, each) => sum + each.households, 0);
    desk.card([
      h("div", { class: "card-head" }, h("b", {}, t("plan.create.title", { kind: t(`kind.${desk.kind()}`) }))),
      desk.seesHouseholds() ? pieceRow(t("plan.buildings", { n: number(own.length) }), households, desk.rangeOf(null)) : null,
      field(),
      desk.confirm(t("plan.confirm"), confirm),
    ], boundsOf(polygon(ring))); // prettier-ignore
  }

  async function confirm() {
    if (ring.length < 4) return;
    const body = { polygon: polygon(ring), kind: desk.kind(), ...(name.trim() ? { name: name.trim() } : {}) };
    if (await desk.edit("create", body)) cancel();
  }

  function cancel() {
    const had = ring.length > 0;
    [ring, name] = [[], ""];
    desk.sketch.again();
    desk.card(null);
    return had;
  }

  return {
    begin: () => desk.sketch.begin("polygon", changed),
    end: () => desk.sketch.end(),
    confirm,
    cancel,
  };
}

/** Lengths of what is drawn, said in the line of help. */
export function measureTool(desk) {
  let length = 0;
  const say = () => desk.card(length ? h("p", {}, t("plan.measure.length"), " ", h("b", {}, `${number(length)} m`)) : null);
  return {
    begin: () =>
      desk.sketch.begin("linestring", (line) => {
        length = lengthM(line);
        say();
      }),
    end: () => desk.sketch.end(),
    confirm: () => null,
    cancel() {
      const had = length > 0;
      length = 0;
      desk.sketch.again();
      say();
      return had;
    },
  };
}
