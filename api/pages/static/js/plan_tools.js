// The tools at the left: which one is on, its line of help, its card, and what its keys do.
import { byId, draw, h, icon, narrow } from "./dom.js";
import { t } from "./i18n.js";
import { boxAt, createCells } from "./plan_index.js";
import { short } from "./plan_names.js";
import { boundsOf, shared, within } from "./plan_shape.js";
import { createSketch } from "./plan_sketch.js";
import { createSnap } from "./plan_snap.js";
import { borderTool } from "./plan_tool_border.js";
import { createTool, measureTool, splitTool } from "./plan_tool_cut.js";
import { mergeTool, moveTool, renameTool, retireTool } from "./plan_tool_pick.js";

const codeOf = (one) => one.properties.code;

/** Name → key, icon, what makes it; a gap stands before those marked; `edits` are those that draw on the plan. */
export const TOOLS = {
  select: { key: "v", icon: "pointer" },
  split: { key: "s", icon: "split", make: splitTool, edits: true },
  merge: { key: "m", icon: "merge", make: mergeTool, edits: true },
  reshape: { key: "b", icon: "reshape", make: borderTool, edits: true },
  move: { key: "h", icon: "move", make: moveTool, edits: true },
  create: { key: "n", icon: "newgrid", make: createTool, gap: true, edits: true },
  retire: { key: "x", icon: "retire", make: retireTool, edits: true },
  rename: { key: "r", icon: "rename", make: renameTool, edits: true },
  measure: { key: "l", icon: "measure", make: measureTool, gap: true, always: true },
};

/** What tools know of the desk: its areas, who is where, and how to say something. */
function deskOf({ work, view, kind, selected, edit, seesHouseholds }, parts) {
  // What follows from the areas is worked out once, until they are others.
  let kept = { areas: null };
  const now = () => {
    const { areas } = work.state;
    if (kept.areas === areas && kept.kind === kind()) return kept;
    const all = [...areas.values()].filter((one) => [kind(), "dedicated"].includes(one.properties.kind));
    kept = { areas, kind: kind(), grids: all, cells: createCells(all, (one) => boundsOf(one.geometry)) };
    return kept;
  };
  const grids = () => now().grids;
  const gridsNear = (box) => now().cells.near(box);
  const numbers = (code) => work.state.metrics?.grids.find((one) => one.code === code);
  return {
    work, view, kind, selected, edit, grids, gridsNear, seesHouseholds, ...parts,
    areas: () => work.state.areas,
    short: (one) => short(codeOf(one), work.state.plan.scope, one.properties.parent),
    householdsOf: (one) => numbers(codeOf(one))?.households ?? one.properties.households ?? 0,
    /** Households that a grid should have; of a new one, as others of its kind. */
    rangeOf: (one) =>
      ((one && numbers(codeOf(one))) ?? work.state.metrics?.grids.find((each) => each.kind === kind()))?.range ?? null,
    gridAt: (place) => gridsNear(boxAt(place)).find((one) => within(place, one.geometry)) ?? null,
    buildingAt: (place) => view.buildings.at(place),
    /** Grids of the same kind that touch, those of the same parent first. */
    neighbours(codes) {
      const chosen = codes.map((code) => work.state.areas.get(code)).filter(Boolean);
      if (!chosen.length) return [];
      // Whatever touches them meets their box: others need not be looked at.
      const own = gridsNear(boundsOf({ coordinates: chosen.map((one) => one.geometry.coordinates) })).filter((one) => one.properties.kind === kind());
      const parents = new Set(own.filter((one) => codes.includes(codeOf(one))).map((one) => one.properties.parent));
      const far = (one) => !parents.has(one.properties.parent);
      const { edges } = shared(own.map((one) => [codeOf(one), one.geometry]));
      const beside = new Set();
      const asked = new Set(codes);
      for (const both of edges.values()) if (both.some((code) => asked.has(code))) both.forEach((code) => beside.add(code));
      return own.filter((one) => beside.has(codeOf(one)) && !asked.has(codeOf(one))).sort((a, b) => far(a) - far(b));
    },
  }; // prettier-ignore
}

/**
 * A card beside the map's left edge; at the right where it would cover what it is about (a box of degrees). Its size and
 * the map's are told by an observer: asking for them after each change of its content would lay the page out each time.
 */
function createCard(map) {
  const box = byId("tool-card");
  const size = { wide: 0, low: 0, map: 0 };
  let about = null;

  function place() {
    if (!about || box.hidden) return;
    const [low, high] = [map.project([about[0], about[3]]), map.project([about[2], about[1]])];
    const room = size.wide + 24;
    const left = low.x < room && low.y < size.low;
    const right = high.x > size.map - room && low.y < size.low;
    box.classList.toggle("aside", left && !right);
  }

  const observer = new ResizeObserver(() => {
    [size.wide, size.low, size.map] = [box.offsetWidth, box.offsetTop + box.offsetHeight, map.getContainer().clientWidth];
    place();
  });
  observer.observe(box);
  observer.observe(map.getContainer());
  return {
    card(content, bounds = null) {
      box.hidden = !content;
      draw(box, content);
      about = content ? bounds : null;
      place();
    },
    close: () => observer.disconnect(),
  };
}

/** Sets the tools up on a map that is ready. `context`: work, view, kind(), selected(), select(code), edit(op, body), seesHouseholds(), begins(name), escape(). */
export function createTools(context) {
  const { work, view } = context;
  let [name, tool] = ["select", null];
  let grids = null;
  let of = null;
  const snapped = () => {
    const key = `${context.kind()}`;
    if (of?.areas !== work.state.areas || of.key !== key) {
      of = { areas: work.state.areas, key };
      grids = new Map([...work.state.areas].filter(([, one]) => one.properties.kind === key));
    }
    return grids;
  };
  const snap = createSnap(view.map, snapped);
  const sketch = createSketch(view.map, snap);
  const allowed = (one) => TOOLS[one].always || one === "select" || work.may("edit");

  const beside = createCard(view.map);
  const { card } = beside;
  /** Keys in the card mean what they mean on the map; ↵ may also end the composition of a Chinese word. */
  byId("tool-card").onkeydown = (event) => {
    if (event.isComposing) return;
    const press = event.target.closest("button");
    if (event.key === "Escape") {
      event.stopPropagation();
      context.escape();
    } else if (event.key === "Enter" && !press && tool?.confirm) {
      event.preventDefault();
      event.stopPropagation();
      tool.confirm();
    }
  };
  /** Puts the keyboard into the card: where something is typed, else where it is confirmed. */
  function enterCard() {
    const into = byId("tool-card").querySelector("input, [data-key=confirm]");
    into?.focus();
    if (into?.matches("input")) into.select();
  }
  const confirm = (label, act) =>
    h(
      "div",
      { class: "row" },
      h("button", { type: "button", class: "button primary grow", "data-key": "confirm", onclick: act }, label, " ↵"),
      h("button", { type: "button", class: "button", "data-key": "cancel", onclick: () => cancel() }, "Esc"),
    );
  const desk = deskOf(context, { snap, sketch, card, confirm, enterCard });

  function use(next) {
    if (!allowed(next) || narrow.matches) return;
    context.begins(next);
    tool?.end();
    card(null);
    [name, tool] = [next, TOOLS[next].make?.(desk) ?? null];
    document.body.dataset.tool = name;
    tool?.begin();
    redraw();
  }

  function cancel() {
    sketch.flush();
    if (tool?.cancel()) return true;
    if (name !== "select") {
      use("select");
      return true;
    }
    return false;
  }

  function redraw() {
    const button = (one) => [
      TOOLS[one].gap ? h("hr") : null,
      h(
        "button",
        {
          type: "button", class: "tool", "data-key": `tool-${one}`, "aria-pressed": String(one === name), disabled: !allowed(one),
          title: `${t(`plan.tool.${one}`)} (${TOOLS[one].key})`, onclick: () => use(one),
        },
        icon(TOOLS[one].icon),
        h("span", {}, t(`plan.tool.${one}`)),
      ),
    ]; // prettier-ignore
    draw(byId("plan-tools"), Object.keys(TOOLS).map(button));
    const help = byId("tool-help");
    help.hidden = name === "select";
    if (name !== "select") draw(help, icon(TOOLS[name].icon), h("b", {}, t(`plan.tool.${name}`)), h("span", { class: "mid" }, t(`plan.help.${name}`)));
  }

  view.map.on("remove", beside.close);
  view.map.on("click", (event) => {
    const place = [event.lngLat.lng, event.lngLat.lat];
    const one = desk.gridAt(place);
    if (tool?.click) tool.click(one, place, event);
    else if (!tool) context.select(one ? codeOf(one) : null);
  });

  // Buildings may have come since the card was written, or the view another one. Else nothing is written again: it
  // would be drawn, and the map then be idle once more, for ever.
  let counted = null;
  view.map.on("moveend", () => {
    counted = null;
  });
  view.map.on("idle", () => {
    if (counted === view.buildings.turn()) return;
    counted = view.buildings.turn();
    tool?.recount?.();
  });

  redraw();
  return {
    use,
    cancel,
    redraw,
    confirm() {
      sketch.flush();
      return tool?.confirm ? (tool.confirm(), true) : false;
    },
    /** What a tool still holds is done: it is laid down, if that tool is in hand. */
    drop(one) {
      if (one !== name) return;
      sketch.flush();
      tool?.cancel();
    },
    /** Takes back what is not sent yet; false where that is nothing. */
    back: () => tool?.back?.() ?? false,
    current: () => name,
    /** After the plan changed beneath it: a tool that cannot be used any more is put down. */
    refresh() {
      if (!allowed(name)) use("select");
      redraw();
    },
    desk,
  };
}
