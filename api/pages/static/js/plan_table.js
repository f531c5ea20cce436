// The grid list: households on their band, events of a year, compactness, what happened; and the totals above.
import { draw, h } from "./dom.js";
import { getLanguage, number, signed, t } from "./i18n.js";
import { band, breachText } from "./plan_band.js";
import { short } from "./plan_names.js";
import { bones, failed } from "./states.js";

const two = (value) => (value == null ? "–" : value.toFixed(2));
const LOOSE = 0.45;

function total(label, figure, beside) {
  return h("div", { class: "total" }, h("dt", {}, label), h("dd", {}, h("b", {}, figure), beside ? h("span", { class: "dim" }, beside) : null));
}

/** Number of grids, households (which stay as they were), how many are in range, mean compactness. */
export function totals(metrics, state) {
  const { grids, total: sum } = metrics;
  if (!sum) return null;
  const { kind } = sum;
  const before = [...state.base.values()].filter((one) => one.properties.kind === kind).length;
  const range = grids.find((one) => one.kind === kind)?.range;
  const kept = sum.households === sum.households_before;
  const by = signed(sum.households - sum.households_before, number);
  return h(
    "dl",
    { class: "totals" },
    total(t(`kind.${kind}`), number(sum.grids), sum.grids === before ? null : t("plan.before", { n: number(before) })),
    total(t("plan.sum"), number(sum.households), kept ? t("plan.kept") : `${by.mark}${by.text}`),
    total(range ? t("plan.in_range", { a: range[0], b: range[1] }) : t("plan.in_range_none"), h("span", {}, number(sum.in_range), h("span", { class: "dim" }, `/${number(sum.grids)}`))),
    total(t("plan.compactness"), two(sum.compactness)),
  ); // prettier-ignore
}

/** What happened to a grid, as a tag; nothing where nothing did. */
function fate(one, metrics) {
  const breach = breachText(one.households, one.range, one.breach);
  if (one.breach === "over") return h("span", { class: "tag late" }, breach);
  if (one.fate === "new") return h("span", { class: "tag doing" }, t("plan.fate.new"));
  if (one.breach === "under") return h("span", { class: "tag todo" }, breach);
  if (one.parts > 1) return h("span", { class: "tag late" }, t("plan.parts", { n: one.parts }));
  if (one.fate === "changed") {
    const by = one.households_before == null ? 0 : one.households - one.households_before;
    return h("span", { class: "tag" }, t(by > 0 ? "plan.fate.gained" : by < 0 ? "plan.fate.lost" : "plan.fate.changed"));
  }
  return null;
}

function row(one, context) {
  const { state, chosen, act, withhold } = context;
  const by = one.households_before == null ? null : one.households - one.households_before;
  const events = one.events.total;
  return h(
    "tr",
    { class: one.code === chosen ? "chosen" : null, "data-code": one.code, onclick: () => act.select(one.code) },
    h("th", { scope: "row" }, h("button", { type: "button", class: "plain", "data-key": `grid-${one.code}`, "aria-pressed": String(one.code === chosen), title: one.name },
      short(one.code, state.plan.scope, one.parent))),
    h("td", { class: "dots" }, band(one.households, one.range, one.breach)),
    h("td", { class: `figure ${one.breach ?? ""}` }, h("b", {}, number(one.households)), by ? h("span", { class: "dim by" }, `${by > 0 ? "+" : "−"}${number(Math.abs(by))}`) : h("span", { class: "by" })),
    h("td", { class: "figure" }, events == null ? h("span", { class: "dim", title: t("plan.withheld") }, `<${withhold ?? 3}`) : number(events)),
    h("td", { class: `figure ${one.compactness < LOOSE ? "loose" : ""}` }, two(one.compactness)),
    h("td", { class: "fate" }, fate(one, context.metrics)),
  ); // prettier-ignore
}

/** A table that stands, by the panel it stands in: its rows by code, and what each was drawn from. */
const standing = new WeakMap();

/** What of a grid its row shows: while that stays the same the row stays. */
const shownOf = (one) =>
  [one.name, one.parent, one.households, one.households_before, one.events.total, one.compactness, one.breach, one.range, one.fate, one.parts].join("|");

function freshTable(rows, range) {
  const column = (text, name) => h("th", { scope: "col", class: name }, text);
  return h("table", { class: "grids" },
    h("caption", { class: "unseen" }, t("plan.caption", { n: rows.length })),
    h("thead", {}, h("tr", {}, column(t("plan.col.grid")), column(range ? t("plan.col.range", { a: range[0], b: range[1] }) : t("plan.col.households"), "dots"),
      h("th", { scope: "col", class: "figure" }, h("span", { class: "only-narrow" }, t("plan.col.households"))), column(t("plan.col.events"), "figure"), column(t("plan.col.compactness"), "figure"), column(t("plan.col.fate"), "fate"))),
    h("tbody", {}));
} // prettier-ignore

/** Brings the rows to what they shall be: those that show the same as before are not touched, nor is where they stand. */
function arrange(body, rows, kept, context) {
  const next = new Map();
  const stay = new Set(rows.map((one) => one.code));
  for (const [code, { node }] of kept) if (!stay.has(code)) node.remove();
  let at = body.firstElementChild;
  for (const one of rows) {
    const shown = shownOf(one);
    const before = kept.get(one.code);
    const same = before?.shown === shown;
    const node = same ? before.node : row(one, context);
    if (before && !same) {
      const focused = before.node.contains(document.activeElement);
      if (before.node === at) at = at.nextElementSibling;
      before.node.replaceWith(node);
      if (focused) node.querySelector("button").focus({ preventScroll: true });
    }
    if (node === at) at = at.nextElementSibling;
    else if (node.nextElementSibling !== at || !node.parentNode) body.insertBefore(node, at);
    next.set(one.code, { node, shown });
  }
  return next;
}

/** Draws totals and the list, or what of them is another one than before. `act`: select(code), retry. */
export function drawTable(panel, state, { kind, chosen, act, error }) {
  const metrics = state.metrics;
  if (!metrics) {
    draw(panel, error ? failed("plan.what.metrics", error, act.retry) : bones(8));
    return;
  }
  const rows = metrics.grids.filter((one) => one.kind === kind || one.kind === "dedicated");
  const range = rows.find((one) => one.range)?.range;
  const context = { state, metrics, chosen, act, withhold: metrics.withhold_below };
  const sort = [getLanguage(), state.plan.id, state.plan.scope, kind, range, metrics.withhold_below].join("|");
  let stands = standing.get(panel);
  if (stands?.sort !== sort || stands.act !== act) {
    stands = { sort, act, totals: h("div"), table: freshTable(rows, range), rows: new Map() };
    stands.scroll = h("div", { class: "scroll" }, stands.table);
    standing.set(panel, stands);
  }
  const sums = totals(metrics, state) ?? h("div");
  stands.totals.replaceWith(sums);
  stands.totals = sums;
  stands.table.caption.textContent = t("plan.caption", { n: rows.length });
  stands.rows = arrange(stands.table.tBodies[0], rows, stands.rows, context);
  if (stands.scroll.parentNode !== panel) draw(panel, sums, stands.scroll);
  chooseRow(panel, chosen);
}

/** Another row is the chosen one; nothing else is drawn anew. */
export function chooseRow(panel, code, { scroll = false } = {}) {
  for (const old of panel.querySelectorAll("tr.chosen")) {
    if (old.dataset.code === code) continue;
    old.classList.remove("chosen");
    old.querySelector("button")?.setAttribute("aria-pressed", "false");
  }
  const now = code ? panel.querySelector(`tr[data-code="${CSS.escape(code)}"]`) : null;
  if (!now) return;
  now.classList.add("chosen");
  now.querySelector("button")?.setAttribute("aria-pressed", "true");
  if (scroll) now.scrollIntoView({ block: "nearest" });
}
