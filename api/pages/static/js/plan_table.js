// The grid list: households on their band, events of a year, compactness, what happened; and the totals above.
import { draw, h } from "./dom.js";
import { number, signed, t } from "./i18n.js";
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

/** Draws totals and the list. `act`: select(code), retry. */
export function drawTable(panel, state, { kind, chosen, act, error }) {
  const metrics = state.metrics;
  if (!metrics) {
    draw(panel, error ? failed("plan.what.metrics", error, act.retry) : bones(8));
    return;
  }
  const scroll = panel.querySelector(".scroll")?.scrollTop ?? 0;
  const rows = metrics.grids.filter((one) => one.kind === kind || one.kind === "dedicated");
  const range = rows.find((one) => one.range)?.range;
  const column = (text, name) => h("th", { scope: "col", class: name }, text);
  const context = { state, metrics, chosen, act, withhold: metrics.withhold_below };
  draw(
    panel,
    totals(metrics, state),
    h("div", { class: "scroll" },
      h("table", { class: "grids" },
        h("caption", { class: "unseen" }, t("plan.caption", { n: rows.length })),
        h("thead", {}, h("tr", {}, column(t("plan.col.grid")), column(range ? t("plan.col.range", { a: range[0], b: range[1] }) : t("plan.col.households"), "dots"),
          h("th", { scope: "col", class: "figure" }, h("span", { class: "only-narrow" }, t("plan.col.households"))), column(t("plan.col.events"), "figure"), column(t("plan.col.compactness"), "figure"), column(t("plan.col.fate"), "fate"))),
        h("tbody", {}, rows.map((one) => row(one, context))))),
  ); // prettier-ignore
  panel.querySelector(".scroll").scrollTop = scroll;
}

/** Another row is the chosen one; nothing else is drawn anew. */
export function chooseRow(panel, code, { scroll = false } = {}) {
  for (const old of panel.querySelectorAll("tr.chosen")) {
    old.classList.remove("chosen");
    old.querySelector("button")?.setAttribute("aria-pressed", "false");
  }
  const now = code ? panel.querySelector(`tr[data-code="${CSS.escape(code)}"]`) : null;
  if (!now) return;
  now.classList.add("chosen");
  now.querySelector("button")?.setAttribute("aria-pressed", "true");
  if (scroll) now.scrollIntoView({ block: "nearest" });
}
