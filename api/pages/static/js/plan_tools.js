// The tools at the left: which one is on, its line of help, its card, and what its keys do.
import { byId, draw, h, icon, narrow } from "./dom.js";
import { t } from "./i18n.js";
import { short } from "./plan_names.js";
import { shared, within } from "./plan_shape.js";
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
  const grids = () => [...work.state.areas.values()].filter((one) => [kind(), "dedicated"].includes(one.properties.kind));
  const numbers = (code) => work.state.metrics?.grids.find((one) => one.code === code);
  return {
    work, view, kind, selected, edit, grids, seesHouseholds, ...parts,
    areas: () => work.state.areas,
    short: (one) => short(codeOf(one), work.state.plan.scope, one.properties.parent),
    householdsOf: (one) => numbers(codeOf(one))?.households ?? one.properties.households ?? 0,
    /** Households that a grid should have; of a new one, as others of its kind. */
    rangeOf: (one) =>
      ((one && numbers(codeOf(one))) ?? work.state.metrics?.grids.find((each) => each.kind === kind()))?.range ?? null,
    gridAt: (place) => grids().find((one) => within(place, one.geometry)) ?? null,
    buildingAt: (place) => [...view.buildings.all().values()].find((one) =>
      one.geometry.type.endsWith("Polygon") ? within(place, one.geometry) : Math.hypot(...one.place.map((value, i) => value - place[i])) < 5e-5) ?? null,
    /** Grids of the same kind that touch, those of the same parent first. */
    neighbours(codes) {
      const own = grids().filter((one) => one.properties.kind === kind());
      const parents = new Set(own.filter((one) => codes.includes(codeOf(one))).map((one) => one.properties.parent));
      const far = (one) => !parents.has(one.properties.parent);
      const { edges } = shared(own.map((one) => [codeOf(one), one.geometry]));
      const beside = new Set();
      for (const both of edges.values()) if (both.some((code) => codes.includes(code))) both.forEach((code) => beside.add(code));
      return own.filter((one) => beside.has(codeOf(one)) && !codes.includes(codeOf(one))).sort((a, b) => far(a) - far(b));
    },
  }; // prettier-ignore
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

  /** Says something beside the map's left edge; at the right where it would cover what it is about (a box of degrees). */
  function card(content, bounds = null) {
    const box = byId("tool-card");
    box.hidden = !content;
    draw(box, content);
    if (!content || !bounds) return;
    const [low, high] = [view.map.project([bounds[0], bounds[3]]), view.map.project([bounds[2], bounds[1]])];
    const room = box.offsetWidth + 24;
    const wide = view.map.getContainer().clientWidth;
    const left = low.x < room && low.y < box.offsetTop + box.offsetHeight;
    const right = high.x > wide - room && low.y < box.offsetTop + box.offsetHeight;
    box.classList.toggle("aside", left && !right);
  }
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

  view.map.on("click", (event) => {
    const place = [event.lngLat.lng, event.lngLat.lat];
    const one = desk.gridAt(place);
    if (tool?.click) tool.click(one, place, event);
    else if (!tool) context.select(one ? codeOf(one) : null);
  });

  // Buildings may have come since the card was written.
  view.map.on("idle", () => tool?.recount?.());

  redraw();
  return {
    use,
    cancel,
    redraw,
    confirm: () => (tool?.confirm ? (tool.confirm(), true) : false),
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
