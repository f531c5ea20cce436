// The pointer on the map: a tooltip with label, value and fraction; click selects; double click goes one level down.
import { WITHHELD, withheldRange } from "./classes.js";
import { byId, h, narrow } from "./dom.js";
import { brief, number, signed, t } from "./i18n.js";
import { sourceOf } from "./mapstyle.js";
import { holder, place } from "./places.js";

/** Lines of a tooltip: title, where, figure, note. */
export function describe(item, heat, k) {
  const where = item.code ? (holder(item.code)?.name ?? holder(item.code, "town")?.name) : null;
  const title = item.name ?? place(item.code)?.name ?? "";
  const lines = { title, where, figure: "", fraction: "", note: "" };
  if (k === WITHHELD) {
    lines.figure =
      heat.measure === "change" ? t("tip.small") : t("tip.withheld", { range: withheldRange(heat.withholdBelow) });
    lines.note = heat.measure === "change" ? "" : t("tip.withheld_note");
  } else if (item.value == null) {
    lines.figure = t("tip.nobody");
    lines.fraction = item.count == null ? "" : t("tip.count", { n: number(item.count) });
  } else if (item.cell) {
    lines.figure = t("tip.hex", { n: number(item.value) });
  } else if (heat.measure === "change") {
    const { mark, text } = signed(item.value, brief);
    lines.figure = t("tip.change", { value: `${mark}${text}%` });
    lines.fraction = item.count == null ? "" : t("tip.count", { n: number(item.count) });
  } else if (heat.measure === "hotspot") {
    lines.figure = t("tip.hot", { z: brief(item.z ?? item.value), p: brief(item.p) });
  } else {
    const rate = heat.measure === "per_100_households";
    lines.figure = rate ? t("tip.rate", { value: brief(item.value) }) : t("tip.count", { n: number(item.value) });
    lines.fraction = item.households
      ? t("tip.of", { n: number(item.count), h: number(item.households) })
      : t("tip.count", { n: number(item.count) });
  }
  return lines;
}

function tooltip() {
  const node = h("div", { class: "tip", role: "presentation", hidden: true });
  byId("map").after(node);
  return {
    show(point, lines) {
      node.replaceChildren(
        h("p", {}, h("b", {}, lines.title), " ", lines.where ? h("span", { class: "soft" }, lines.where) : null),
        h(
          "p",
          {},
          h("b", {}, lines.figure),
          lines.fraction ? h("span", { class: "soft" }, ` · ${lines.fraction}`) : null,
        ),
        ...(lines.note ? [h("p", { class: "soft" }, lines.note)] : []),
      );
      node.hidden = false;
      const ground = byId("map").getBoundingClientRect();
      const wide = node.offsetWidth;
      const high = node.offsetHeight;
      const x = Math.min(Math.max(point.x - wide / 2, 4), ground.width - wide - 4);
      const below = point.y - high - 16 < 4;
      node.classList.toggle("below", below);
      node.style.transform = `translate(${x}px, ${below ? point.y + 18 : point.y - high - 14}px)`;
      node.style.setProperty("--tail", `${point.x - x}px`);
    },
    hide() {
      node.hidden = true;
    },
  };
}

/**
 * Wires the pointer.
 * `current()` gives {heat, scheme, items: Map} or null; `select(code)` and `descend(code)` act.
 */
export function createPicker({ map, painter, hover }, current, { select, descend }) {
  const tip = tooltip();
  let frame = null;
  let last = null;

  function under(point) {
    const now = current();
    const layer = painter.layer();
    if (!now || !layer) return null;
    const [feature] = map.queryRenderedFeatures(point, { layers: [layer] });
    const id = feature ? String(feature.properties.code ?? feature.properties.cell) : null;
    const item = id ? now.items.get(id) : null;
    return item ? { item, now } : null;
  }

  function leave() {
    if (frame) cancelAnimationFrame(frame);
    frame = last = null;
    tip.hide();
    hover("", "");
    map.getCanvas().style.cursor = "";
  }

  function look(point) {
    const found = under(point);
    if (!found) {
      leave();
      return;
    }
    const { item, now } = found;
    if (last !== item.id) hover(sourceOf(now.heat.by), item.id);
    last = item.id;
    map.getCanvas().style.cursor = item.code ? "pointer" : "default";
    tip.show(point, describe(item, now.heat, now.scheme.of(item)));
  }

  map.on("mousemove", (event) => {
    if (narrow.matches || map.isMoving()) return;
    if (frame) cancelAnimationFrame(frame);
    frame = requestAnimationFrame(() => {
      frame = null;
      look(event.point);
    });
  });
  map.on("mouseout", leave);
  map.on("movestart", leave);
  map.on("click", (event) => {
    const found = under(event.point);
    if (found?.item.code) select(found.item.code);
  });
  map.on("dblclick", (event) => {
    event.preventDefault();
    const inside = map
      .queryRenderedFeatures(event.point, { layers: ["town-hit"] })
      .map((one) => place(one.properties.code))
      .filter(Boolean);
    descend(inside);
  });
  return { leave };
}
