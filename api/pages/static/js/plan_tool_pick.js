// Tools that choose by clicking: merge, move buildings, retire, rename.
import { h } from "./dom.js";
import { number, t } from "./i18n.js";
import { boundsOf } from "./plan_shape.js";
import { pieceRow } from "./plan_tool_cut.js";

const codeOf = (one) => one.properties.code;

const choice = (label, options, chosen, change) =>
  h(
    "label",
    { class: "labelled" },
    h("span", {}, label),
    h("select", { class: "field", "data-key": "choice", onchange: (event) => change(event.target.value) },
      options.map(([value, text]) => h("option", { value, selected: value === chosen }, text))),
  ); // prettier-ignore

/** Merge: grids are clicked together; the one with most households keeps its code unless asked otherwise. */
export function mergeTool(desk) {
  let [picked, into] = [[], null];
  const grid = (code) => desk.grids().find((one) => codeOf(one) === code);

  function show() {
    desk.view.pickedGrids(picked);
    const all = picked.map(grid).filter(Boolean);
    if (!all.length) return desk.card(null);
    const largest = all.reduce((a, b) => (desk.householdsOf(b) > desk.householdsOf(a) ? b : a));
    const keeps = picked.includes(into) ? into : codeOf(largest);
    const sum = all.reduce((total, one) => total + desk.householdsOf(one), 0);
    into = keeps;
    return desk.card([
      h("div", { class: "card-head" }, h("b", {}, t("plan.merge.title", { n: all.length }))),
      all.map((one) => h("div", { class: "piece" }, h("span", {}, desk.short(one)), h("span", {}), h("b", {}, number(desk.householdsOf(one))))),
      all.length > 1 ? pieceRow(t("plan.merge.sum"), sum, desk.rangeOf(largest)) : h("p", { class: "dim small" }, t("plan.merge.more")),
      all.length > 1 ? choice(t("plan.merge.into"), all.map((one) => [codeOf(one), desk.short(one)]), keeps, (code) => { into = code; }) : null,
      all.length > 1 ? desk.confirm(t("plan.confirm"), confirm) : null,
    ], boundsOf({ coordinates: all.map((one) => one.geometry.coordinates) })); // prettier-ignore
  }

  async function confirm() {
    if (picked.length < 2) return;
    if (await desk.edit("merge", { grids: picked, into })) clear();
  }

  function clear() {
    const had = picked.length > 0;
    [picked, into] = [[], null];
    show();
    return had;
  }

  return {
    begin: () => {
      picked = desk.selected() && grid(desk.selected()) ? [desk.selected()] : [];
      show();
    },
    end: clear,
    click(one) {
      if (!one) return;
      const code = codeOf(one);
      picked = picked.includes(code) ? picked.filter((each) => each !== code) : [...picked, code];
      show();
    },
    confirm,
    cancel: clear,
  };
}

/** Move buildings: a lasso or clicks, then the grid that they go to. */
export function moveTool(desk) {
  let [picked, to, offered] = [new Map(), null, []];

  function show() {
    desk.view.pickedBuildings([...picked.keys()]);
    offered = [];
    if (!picked.size) return desk.card(null);
    const households = [...picked.values()].reduce((sum, one) => sum + one.households, 0);
    const from = new Set([...picked.values()].map((one) => desk.gridAt(one.place)).filter(Boolean).map(codeOf));
    const options = desk.neighbours([...from]);
    offered = options.map(codeOf);
    if (!options.some((one) => codeOf(one) === to)) to = null;
    desk.view.pickedGrids(to ? [to] : []);
    return desk.card([
      h("div", { class: "card-head" }, h("b", {}, t("plan.move.title", { n: number(picked.size) })),
        desk.seesHouseholds() ? h("span", { class: "mid" }, t("plan.households", { n: number(households) })) : null),
      h("p", { class: "dim small" }, t("plan.move.then")),
      choice(t("plan.move.to"), [["", t("plan.choose")], ...options.map((one) => [codeOf(one), desk.short(one)])], to ?? "", (code) => {
        to = code || null;
        show();
      }),
      to ? pieceRow(desk.short(options.find((one) => codeOf(one) === to)), desk.householdsOf(options.find((one) => codeOf(one) === to)) + households,
        desk.rangeOf(options.find((one) => codeOf(one) === to))) : null,
      to ? desk.confirm(t("plan.confirm"), confirm) : null,
    ], boundsOf({ coordinates: [...picked.values()].map((one) => one.place) })); // prettier-ignore
  }

  async function confirm() {
    if (!picked.size || !to) return;
    if (await desk.edit("move", { buildings: [...picked.keys()], to })) clear();
  }

  function clear() {
    const had = picked.size > 0;
    [picked, to] = [new Map(), null];
    desk.view.pickedGrids([]);
    show();
    return had;
  }

  function lassoed(ring, over) {
    if (!over || ring.length < 4) return;
    for (const one of desk.view.buildings.inside({ type: "Polygon", coordinates: [ring] })) picked.set(one.code, one);
    desk.sketch.again();
    show();
  }

  return {
    begin: () => desk.sketch.begin("freehand", lassoed),
    end: () => {
      desk.sketch.end();
      clear();
    },
    click(one, place) {
      const building = desk.buildingAt(place);
      // A click into another grid than theirs says where they go, also where it meets one of its buildings.
      const target = one && picked.size > 0 && offered.includes(codeOf(one));
      if (target) to = codeOf(one);
      else if (building) {
        if (!picked.delete(building.code)) picked.set(building.code, building);
      }
      show();
    },
    confirm,
    cancel: clear,
  };
}

/**
 * A tool that takes one grid, the chosen one or one that is clicked. `card(one, show)` says what stands in its card,
 * `request(code)` what is asked of the service: [op, body], or null where that is not complete.
 */
function gridTool(desk, { find, card, request }) {
  let code = null;

  function show() {
    const one = code ? find(code) : null;
    desk.view.pickedGrids(one ? [code] : []);
    desk.card(one ? [card(one, show), desk.confirm(t("plan.confirm"), confirm)] : null, one ? boundsOf(one.geometry) : null);
  }

  function take(next) {
    code = next;
    show();
    // The keyboard goes on in the card: the list or the tool's button would take ↵ for itself.
    if (code) desk.enterCard();
  }

  async function confirm() {
    const asked = code && request(code);
    if (asked && (await desk.edit(...asked))) clear();
  }

  function clear() {
    const had = code !== null;
    take(null);
    return had;
  }

  return { begin: () => take(desk.selected()), end: clear, click: (one) => take(one ? codeOf(one) : null), confirm, cancel: clear };
} // prettier-ignore

/** Retire: a grid, and the neighbour that takes its land. */
export function retireTool(desk) {
  let into = null;

  function card(one, show) {
    const options = desk.neighbours([codeOf(one)]);
    if (!options.some((each) => codeOf(each) === into)) into = options[0] ? codeOf(options[0]) : null;
    const taker = options.find((each) => codeOf(each) === into);
    return [
      h("div", { class: "card-head" }, h("b", {}, t("plan.retire.title", { code: desk.short(one) }))),
      choice(t("plan.retire.into"), options.map((each) => [codeOf(each), desk.short(each)]), into, (value) => {
        into = value;
        show();
      }),
      taker ? pieceRow(desk.short(taker), desk.householdsOf(taker) + desk.householdsOf(one), desk.rangeOf(taker)) : null,
      h("p", { class: "dim small" }, t("plan.retire.note")),
    ]; // prettier-ignore
  }

  const find = (code) => desk.grids().find((one) => codeOf(one) === code);
  return gridTool(desk, { find, card, request: (code) => ["retire", { grid: code, ...(into ? { into } : {}) }] });
}

/** Rename: a grid, and its name. */
export function renameTool(desk) {
  let field = null;

  function card(one) {
    field = h("input", { class: "field", value: one.properties.name, maxlength: 100, "aria-label": t("plan.name"), "data-key": "rename" });
    return [h("div", { class: "card-head" }, h("b", {}, t("plan.rename.title", { code: desk.short(one) }))), field];
  } // prettier-ignore

  function request(code) {
    const name = field.value.trim();
    return name ? ["rename", { grid: code, name }] : null;
  }

  return gridTool(desk, { find: (code) => desk.areas().get(code), card, request });
}
