// The children of the current area by the measure: the map's table. In code order unless the viewer asks for a ranking.
import { get } from "./api.js";
import { byWeek, sparkline } from "./charts.js";
import { addDays } from "./days.js";
import { byId, draw, h, icon } from "./dom.js";
import { filters, loadHeat } from "./heat.js";
import { brief, number, signed, t } from "./i18n.js";
import { all, holder, loadArea, place } from "./places.js";
import { CATEGORIES } from "./state.js";
import { around, empty } from "./states.js";

const BELOW = {
  province: ["town", "village", "micro"],
  city: ["town", "village", "micro"],
  county: ["town", "village", "micro"],
  town: ["village", "micro"],
};
const STEP = 60;
let shown = STEP;

/** Levels that the list can show under an area. */
export function levels(state, home) {
  const kind = state.area ? place(state.area)?.kind : home.kind;
  return BELOW[kind] ?? ["micro"];
}

export const levelOf = (state, home) =>
  levels(state, home).includes(state.level) ? state.level : levels(state, home)[0];

/** What the list's figures mean: a change or a cluster is shown beside the rate, not in its place. */
export const listMeasure = (state) =>
  state.by === "hex" || state.measure === "count" ? "count" : "per_100_households";

/** Loads the list: values of the measure and, while the service answers that, the change to the year before. */
export async function loadRanking(state, facts, signal) {
  if (state.area && !place(state.area)) await loadArea(state.area, signal);
  const kind = levelOf(state, facts.home);
  const canCompare = facts.compares;
  const common = {
    by: "grid",
    kind,
    ...filters(state, CATEGORIES),
    boundaries: state.boundaries === "today" ? null : state.boundaries,
  };
  const [values, changes] = await Promise.all([
    loadHeat({ ...common, measure: listMeasure(state) }, signal),
    canCompare
      ? loadHeat({ ...common, measure: "change", compare: "year" }, signal).catch((error) => {
          if (error.name === "AbortError") throw error;
          return null;
        })
      : null,
  ]);
  if (canCompare && !changes) facts.compares = false;
  const change = new Map(changes?.items.map((item) => [item.id, item.value]) ?? []);
  return {
    kind,
    measure: values.measure,
    rows: values.items.map((item) => ({ ...item, change: change.get(item.id) ?? null })),
  };
}

/** Weeks for a few rows, four at a time, so that they never stand in the way of the map. */
export async function loadTrends(rows, state, signal) {
  const trends = new Map();
  const period = { from: addDays(state.to, -91), to: state.to };
  const wanted = rows.slice(0, 24);
  const one = async (row) => {
    const query = { ...filters(state, CATEGORIES), ...period, area: row.code, by: "day" };
    trends.set(row.code, byWeek((await get("/api/indicators", query, signal)).days ?? []));
  };
  for (let i = 0; i < wanted.length; i += 4) await Promise.all(wanted.slice(i, i + 4).map(one));
  return trends;
}

let lastOrder = [];

/** Rows in the order asked for; they stay where they are while one of them holds the keyboard's focus. */
function inOrder(rows, order, panel) {
  const held = order === "value" && panel.querySelector("tbody")?.contains(document.activeElement);
  const ordered = held
    ? [...rows].sort((a, b) => lastOrder.indexOf(a.code) - lastOrder.indexOf(b.code))
    : sorted(rows, order);
  lastOrder = ordered.map((one) => one.code);
  return ordered;
}

function sorted(rows, order) {
  const byCode = (a, b) => (a.code < b.code ? -1 : a.code > b.code ? 1 : 0);
  if (order === "code") return [...rows].sort(byCode);
  return [...rows].sort(
    (a, b) => (a.value == null) - (b.value == null) || (b.value ?? 0) - (a.value ?? 0) || byCode(a, b),
  );
}

function delta(value) {
  if (value == null) return h("span", { class: "dim" }, "–");
  const { mark, text } = signed(value, (n) => number(Math.round(n)));
  return h("span", { class: "mid" }, mark ? `${mark}${text}%` : t("wall.level"));
}

function row(item, i, context) {
  const { state, ranking, widest, trends, act, micro } = context;
  const figure =
    item.value == null
      ? h("span", { class: "dim withheld" }, t("ranking.withheld"))
      : h("b", {}, context.rate ? brief(item.value) : number(item.value));
  const where = micro ? holder(item.code)?.name : null;
  return h(
    "tr",
    {
      class: state.grid === item.code ? "chosen" : null,
      onclick: () => act.select(item.code),
      ondblclick: () => act.descend([place(item.code)].filter(Boolean)),
    },
    h("td", { class: "rank dim" }, ranking ? i + 1 : ""),
    h(
      "th",
      { scope: "row" },
      h(
        "button",
        {
          type: "button",
          class: "plain",
          "data-key": `row-${item.code}`,
          "aria-pressed": String(state.grid === item.code),
        },
        item.name ?? item.code,
        where ? h("span", { class: "dim where" }, where) : null,
      ),
      h(
        "span",
        { class: "meter" },
        item.value == null ? null : h("i", { style: { width: `${(100 * item.value) / widest}%` } }),
      ),
    ),
    h("td", { class: "figure" }, figure),
    context.compares ? h("td", { class: "delta" }, delta(item.change)) : null,
    trends ? h("td", { class: "trend" }, sparkline(trends.get(item.code))) : null,
  );
}

function header(state, facts, act) {
  const ranking = state.sort === "value";
  const names = levels(state, facts.home);
  const level = levelOf(state, facts.home);
  const inside = (kind) =>
    all().filter((one) => one.kind === kind && (!state.area || one.path.includes(state.area))).length;
  const tab = (name) =>
    h(
      "button",
      {
        type: "button",
        role: "tab",
        "aria-selected": String(name === level),
        "data-key": `tab-${name}`,
        onclick: () => act.set({ level: name === names[0] ? null : name }),
      },
      t(`tab.${name}`),
      name === "micro" || !inside(name) ? "" : ` ${inside(name)}`,
    );
  return h(
    "header",
    { class: "head" },
    h("h2", {}, state.wall ? t(`kind.${level}`) : t(ranking ? "ranking.ranking" : "ranking.list")),
    h(
      "button",
      {
        type: "button",
        class: "round small",
        "aria-pressed": String(ranking),
        "data-key": "sort",
        title: t(ranking ? "ranking.code_order" : "ranking.sort"),
        "aria-label": t(ranking ? "ranking.code_order" : "ranking.sort"),
        onclick: () => act.set({ sort: ranking ? "code" : "value" }),
      },
      icon("sort"),
    ),
    state.wall
      ? h("span", { class: "mid small" }, `${t(`measure.${listMeasure(state)}`)} · ${t("ranking.change")}`)
      : null,
    names.length > 1
      ? h("div", { class: "segments tabs", role: "tablist" }, names.map(tab))
      : h("span", { class: "mid grow to-right" }, t(`tab.${names[0]}`)),
    facts.pills,
  );
}

function table(rows, kind, measure, context) {
  const words = { place: context.place, unit: t(`kind.${kind}`), measure: t(`measure.${measure}`) };
  const column = (text, name) => h("th", { scope: "col", class: name }, text);
  const head = [
    h("th", { class: "rank" }),
    column(words.unit),
    column(words.measure, "figure"),
    context.compares ? column(t("ranking.change"), "delta") : null,
    context.trends ? column(t("ranking.trend"), "trend") : null,
  ];
  return h(
    "table",
    { class: context.trends ? "with-trend" : null },
    h("caption", { class: "unseen" }, t("ranking.caption", words)),
    h("thead", {}, h("tr", {}, head)),
    h(
      "tbody",
      {},
      rows.map((item, i) => row(item, i, context)),
    ),
  );
}

/** Draws the list. `facts`: home, trends (Map or null), compares; `act`: select, descend, set, retry. */
export function drawRanking(state, resource, facts, act) {
  const panel = byId("ranking");
  const scroll = panel.querySelector(".scroll")?.scrollTop ?? 0;
  const frame = around(resource, "what.ranking", act.retry, 6);
  const head = header(state, facts, act);
  if (frame.instead) {
    draw(panel, head, frame.instead);
    return;
  }
  const { rows, kind, measure } = resource.data;
  if (!rows.length) {
    draw(panel, head, empty("search", t("ranking.empty")));
    return;
  }
  const ordered = inOrder(rows, state.sort, panel);
  const rate = measure === "per_100_households";
  const trends = kind === "micro" ? null : facts.trends;
  const context = {
    state,
    trends,
    act,
    rate,
    ranking: state.sort === "value",
    widest: Math.max(1e-9, ...rows.map((one) => one.value ?? 0)),
    micro: kind === "micro",
    compares: facts.compares,
    place: place(state.area)?.name ?? facts.home.name,
  };
  const more = ordered.length - shown;
  const unfold = () => {
    shown += STEP;
    drawRanking(state, resource, facts, act);
  };
  const button = { type: "button", class: "link more", "data-key": "more", onclick: unfold };
  const rest = more > 0 ? h("button", button, t("ranking.more", { n: Math.min(more, STEP) })) : null;
  draw(
    panel,
    head,
    frame.above,
    h("div", { class: "scroll" }, table(ordered.slice(0, shown), kind, measure, context), rest),
  );
  panel.querySelector(".scroll").scrollTop = scroll;
}

export const resetRanking = () => {
  shown = STEP;
  const box = byId("ranking").querySelector(".scroll");
  if (box) box.scrollTop = 0;
};
