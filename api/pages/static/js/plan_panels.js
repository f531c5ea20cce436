// Findings and the journal of edits, in the panel at the right.
import { draw, h, icon } from "./dom.js";
import { brief, has, number, shortMoment, t } from "./i18n.js";
import { opName, short, toldWords } from "./plan_names.js";
import { inLanguage } from "./plan_words.js";
import { bones, empty, failed } from "./states.js";

const title = (one) => (has(`plan.finding.${one.code}`) ? t(`plan.finding.${one.code}`) : one.code);
const UNITS = { m2: "m²", m: "m", households: "plan.unit.households", pieces: "plan.unit.pieces" };

/** A measure with its unit, in words. */
export function measured(one) {
  if (one.measure == null) return "";
  const unit = UNITS[one.unit] ?? one.unit ?? "";
  return `${brief(one.measure)} ${has(unit) ? t(unit) : unit}`.trim();
}

/** What is wrong, and the rest of what is said of it: a grid's households against their range need no second line. */
function words(one, state) {
  // Of a grid that was just made the numbers may still be on their way: others of its kind have the same range.
  const [kind, grids] = [state.areas.get(one.area)?.properties.kind, state.metrics?.grids ?? []];
  const known = grids.find((each) => each.code === one.area) ?? grids.find((each) => each.kind === kind && each.range);
  const range = one.code === "households_out_of_range" && known?.range;
  if (!range || one.measure == null) return [title(one), measured(one), inLanguage(one.message)];
  const over = one.measure > range[1];
  return [t(over ? "plan.finding.over" : "plan.finding.under", { n: number(one.measure), m: number(range[over ? 1 : 0]) }), "", ""];
}

/** One finding with a button that leads there. `act.locate(finding)`. */
export function finding(one, state, act) {
  const codes = [one.area, one.other].filter(Boolean).map((code) => short(code, state.plan.scope));
  const [what, size, more] = words(one, state);
  return h(
    "li",
    { class: `finding ${one.severity}` },
    icon(one.severity === "error" ? "hazard" : "info"),
    h("div", { class: "grow" }, h("b", {}, [codes.join(" · "), what, size].filter(Boolean).join(" ")), more ? h("p", { class: "mid" }, more) : null),
    one.where || one.area ? h("button", { type: "button", class: "button", onclick: () => act.locate(one) }, t("plan.locate")) : null,
  ); // prettier-ignore
}

const rank = { error: 0, warning: 1, info: 2 };

/** Findings, errors first. */
export function drawFindings(panel, state, { act, error }) {
  if (!state.check) {
    draw(panel, error ? failed("plan.what.check", error, act.retry) : bones(4));
    return;
  }
  const found = [...state.check.findings].sort((a, b) => rank[a.severity] - rank[b.severity]);
  if (!found.length) {
    draw(panel, empty("check", t("plan.no_findings"), t("plan.no_findings_note")));
    return;
  }
  draw(
    panel,
    h("header", { class: "part-head findings-head" }, h("h3", {}, t("plan.tab.check")), h("span", { class: "dim small" }, t("plan.check_note"))),
    h("ul", { class: "findings" }, found.slice(0, 200).map((one) => finding(one, state, act))),
    found.length > 200 ? h("p", { class: "note more" }, t("plan.more_findings", { n: number(found.length - 200) })) : null,
  ); // prettier-ignore
}

/** Number of errors and of warnings. */
export function counts(state) {
  const found = state.check?.findings ?? [];
  return { errors: state.check?.errors ?? 0, warnings: found.filter((one) => one.severity !== "error").length };
}

/** Edits, the newest first; those that can be redone are pale. */
export function drawJournal(panel, state) {
  const { journal, head, history } = state.plan;
  if (!journal.length && history.length < 2) {
    draw(panel, empty("split", t("plan.no_edits"), state.plan.may.includes("edit") ? t("plan.no_edits_note") : null));
    return;
  }
  const shown = (codes) => `${codes.slice(0, 4).map((code) => short(code, state.plan.scope)).join(" ")}${codes.length > 4 ? " …" : ""}`;
  const steps = history.filter((one) => !journal.some((each) => each.op === one.op) && !["undo", "redo"].includes(one.op));
  draw(
    panel,
    h("ol", { class: "journal" }, [...journal].reverse().map((one) =>
      h("li", { class: one.number > head ? "undone" : null },
        h("span", { class: "dim" }, number(one.number)),
        h("b", {}, opName(one.op)),
        h("span", { class: "mid grow" }, one.number > head ? t("plan.undone") : [shown(one.areas), ...toldWords(one.told)].join(" · ")),
        h("span", { class: "dim" }, `${one.by} · ${shortMoment(one.at)}`)))),
    steps.length ? h("h3", { class: "sub" }, t("plan.steps")) : null,
    h("ol", { class: "journal" }, [...steps].reverse().map((one) =>
      h("li", {}, h("span", { class: "dim" }, `r${one.revision}`), h("b", {}, opName(one.op)), h("span", { class: "grow" }), h("span", { class: "dim" }, `${one.by} · ${shortMoment(one.at)}`)))),
  ); // prettier-ignore
}
