// What stands in the way, said in place: a stale revision, a base that is no longer the newest, a refused edit, others' work.
import { byId, draw, h, icon } from "./dom.js";
import { has, number, t } from "./i18n.js";
import { opName, short } from "./plan_names.js";
import { measured } from "./plan_panels.js";
import { inLanguage } from "./plan_words.js";

const banner = (kind, symbol, title, note, ...rest) =>
  h("div", { class: `banner ${kind}`, role: kind === "bad" ? "alert" : "status" }, icon(symbol),
    h("div", { class: "grow" }, h("b", {}, title), note ? h("p", {}, note) : null, rest)); // prettier-ignore

const press = (name, act, primary = false) =>
  h("button", { type: "button", class: `button ${primary ? "primary" : ""}`, "data-key": `notice-${name}`, onclick: act }, t(`plan.notice.${name}`));

const place = (where) => (where ? `${where[0].toFixed(5)}, ${where[1].toFixed(5)}` : "");
const known = (error) => (has(`problem.${error.code}`) ? t(`problem.${error.code}`) : inLanguage(error.message));

function stale(problem, act) {
  const { error } = problem;
  const since = error.findings.map((one) => `${one.by} ${opName(one.op)}`).join(" · ");
  return banner("info", "info", t("plan.stale", { who: error.findings.at(-1)?.by ?? "" }), [since, t("plan.stale_note")].filter(Boolean).join(" · "),
    h("div", { class: "row" }, press("again", () => act.again(problem)), press("fine", act.dismiss, true))); // prettier-ignore
}

/** How many edits come before the first that collides; none where what collides is not an edit's. */
function before({ findings }, plan) {
  const edits = findings.map((one) => (one.area === plan.scope ? null : one.edit)).filter((one) => one !== undefined);
  return edits.length && !edits.includes(null) ? Math.min(...edits) - 1 : 0;
}

function collides({ error }, state, act) {
  const kept = before(error, state.plan);
  const keep = () => { act.dismiss(); act.step("rebase", { keep: true }); }; // prettier-ignore
  return banner("bad", "hazard", t("plan.collides"), t("plan.collides_note"),
    h("ul", { class: "collisions" }, error.findings.map((one) =>
      h("li", {}, h("span", { class: "code" }, short(String(one.area ?? one.value ?? one.code ?? ""), state.plan.scope)), h("span", { class: "mid" }, inLanguage(one.message))))),
    h("div", { class: "row" }, press("side_by_side", act.compare),
      kept > 0 ? h("button", { type: "button", class: "button", "data-key": "notice-keep", onclick: keep }, t("plan.notice.keep", { n: number(kept), m: number(state.plan.head - kept) })) : null,
      press("fine", act.dismiss, true))); // prettier-ignore
}

function refused({ error }, state, act) {
  const at = error.findings.find((one) => one.where);
  // The service names grids in full; here all of them are in one area.
  const shortly = (text) => text.replaceAll(new RegExp(`${state.plan.scope}[0-9]+`, "g"), (code) => short(code, state.plan.scope));
  const line = (one) => {
    const [words, size] = [shortly(inLanguage(one.message)), measured(one)];
    return [one.area ? short(one.area, state.plan.scope) : "", words, words.includes(size) ? "" : size].filter(Boolean).join(" · ");
  };
  const lines = error.findings.slice(0, 4).map(line);
  // One finding says what the title says, and how much: it is not said twice.
  const once = lines.length === 1 && lines[0].includes(shortly(known(error)));
  return banner("bad", "hazard", once ? lines[0] : shortly(known(error)), t("plan.refused_note"),
    lines.length && !once ? h("ul", {}, lines.map((line) => h("li", {}, line))) : null,
    h("div", { class: "row" }, at ? press("locate", () => act.flash(at.where)) : null,
      // Buildings whose ground cannot be parted: all of them, or none; not those without which nothing would stay.
      state.problem.what === "edits" && error.code === "not_movable" && error.findings.some((one) => one.buildings?.length && one.reason !== "all") ? press("along", () => act.along(state.problem.body)) : null,
      press("fine", act.dismiss),
      h("span", { class: "code dim small to-right" }, [error.code, place(at?.where)].filter(Boolean).join(" · ")))); // prettier-ignore
}

function failed(problem, act) {
  const { error } = problem;
  const note = error.status ? t("plan.not_saved_note", { code: [error.code, error.number].filter(Boolean).join(" ") }) : t("plan.unanswered_note");
  return banner("bad", error.status ? "hazard" : "offline", t(error.status ? "plan.not_saved" : "plan.unanswered"), note,
    h("div", { class: "row" }, press("retry", () => act.again(problem), true), press("fine", act.dismiss))); // prettier-ignore
}

function problem(state, act) {
  const { error } = state.problem;
  if (error.code === "stale_revision") return stale(state.problem, act);
  if (error.status === 409 && state.problem.what === "rebase") return collides(state.problem, state, act);
  if ([403, 404, 409, 422].includes(error.status)) return refused(state.problem, state, act);
  return failed(state.problem, act);
}

/** Draws what is to be said above the map. `act`: dismiss, rebase, compare, flash(where), may(what), offline. */
export function drawNotices(state, act) {
  const { plan } = state;
  const open = !["published", "withdrawn"].includes(plan.state);
  const moved = open && !plan.base_current && state.problem?.what !== "rebase"; // prettier-ignore
  draw(
    byId("notices"),
    state.problem ? problem(state, act) : null,
    moved
      ? banner("bad", "hazard", t("plan.base_changed", { n: plan.base }), t("plan.base_changed_note"),
          h("div", { class: "row" },
            act.may("rebase") ? h("button", { type: "button", class: "button primary", "data-key": "rebase", disabled: act.offline, onclick: act.rebase }, t("plan.do.rebase", { n: number(plan.head) })) : null,
            press("side_by_side", act.compare)))
      : null,
    plan.state === "rejected" && plan.rejected_reason
      ? banner("warn", "info", t("plan.rejected_by", { who: plan.rejected_by }), plan.rejected_reason)
      : null,
  ); // prettier-ignore
}
