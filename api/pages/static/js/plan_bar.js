// The plan's bar: name, base, steps, when it was saved, and what can be done next.
import { ask, labelled } from "./admin_forms.js";
import { byId, draw, h, icon, narrow } from "./dom.js";
import { clock, number, shortMoment, t } from "./i18n.js";
import { counts } from "./plan_panels.js";
import { leftWords, noticeLeft } from "./plan_publish.js";

const STEPS = ["draft", "submitted", "approved", "published"];
const reached = { draft: 0, rejected: 0, withdrawn: 0, submitted: 1, approved: 2, published: 3 };
// Who approves looks at the third step; who drew it has done the second.
const current = (plan) => (plan.state === "submitted" ? 2 : plan.state === "approved" ? 3 : reached[plan.state]);

function steps(plan) {
  const at = current(plan);
  return h(
    "ol",
    { class: "steps" },
    STEPS.map((name, i) => {
      const done = i < at || plan.state === "published";
      const mark = done ? icon("check") : String(i + 1);
      return h("li", { class: done ? "done" : i === at ? "now" : null, "aria-current": i === at ? "step" : null },
        h("span", { class: "number" }, mark), h("span", {}, t(`plan.step.${name}`))); // prettier-ignore
    }),
  );
}

function saved(state) {
  const { plan } = state;
  const revision = t("plan.revision", { n: plan.revision });
  if (state.busy) return `${t("plan.saving")} · ${revision}`;
  if (plan.state === "published") return t("plan.published_as", { n: plan.edition, time: shortMoment(plan.published_at) });
  if (plan.state === "approved") return `${t("plan.approved_by", { who: plan.approved_by, time: shortMoment(plan.approved_at) })} · ${revision}`;
  if (plan.state === "submitted") return `${t("plan.submitted_by", { who: plan.submitted_by, time: shortMoment(plan.submitted_at) })} · ${revision}`;
  return `${t("plan.saved", { time: clock(state.savedAt) })} · ${revision}`; // prettier-ignore
}

/** Asks for the reason, then sends the plan back. */
const rejecting = (act) =>
  ask(
    t("plan.reject.title"),
    [h("p", { class: "mid" }, t("plan.reject.note")), labelled(t("plan.reject.reason"), h("textarea", { class: "field", name: "reason", required: true, maxlength: 500, rows: 3 }))],
    t("plan.do.reject"),
    (form) => act.step("reject", { reason: form.get("reason") }),
    true,
  ); // prettier-ignore

/** Taking back what was published: the next edition has the areas as they were. */
const reverting = (act, plan) =>
  ask(
    t("plan.revert.title", { n: plan.edition }),
    [h("p", { class: "mid" }, t("plan.revert.note")), labelled(t("plan.reject.reason"), h("textarea", { class: "field", name: "reason", required: true, maxlength: 500, rows: 3 }))],
    t("plan.do.revert"),
    (form) => act.step("revert", { reason: form.get("reason").trim() }),
    true,
  ); // prettier-ignore

/** That a plan is on notice, and for how long still. */
function onNotice(plan) {
  const left = noticeLeft(plan);
  return left ? h("span", { class: "tag todo", "data-key": "notice" }, t("plan.on_notice", { time: shortMoment(plan.notice_until), left: leftWords(left) })) : null;
}

/** Draws the bar. `act`: back, undo, redo, impact, step(name, body), may(what), offline. */
export function drawBar(state, act) {
  const { plan } = state;
  document.title = `${plan.name} · ${t("nav.plan")}`;
  const { errors } = counts(state);
  const button = (name, key, press, { primary = false, danger = false, disabled = false, text = t(`plan.do.${name}`), symbol = null } = {}) =>
    h("button", {
      type: "button", class: `button ${primary ? "primary" : ""} ${danger ? "danger-line" : ""}`, "data-key": key, onclick: press,
      disabled: disabled || act.offline,
    }, symbol ? icon(symbol) : null, text); // prettier-ignore
  const draws = act.may("edit") || act.may("undo") || act.may("redo");
  const blocked = errors > 0 || !plan.head;
  const submit = errors ? t("plan.do.submit_errors", { n: number(errors) }) : t("plan.do.submit");
  draw(
    byId("plan-bar"),
    h("button", { type: "button", class: "round", "aria-label": t("plan.back"), title: t("plan.back"), "data-key": "back", onclick: act.back }, icon("left")),
    h("h1", {}, plan.name),
    h("span", { class: "tag" }, t("plan.based_on", { n: plan.base })),
    ["rejected", "withdrawn"].includes(plan.state) ? h("span", { class: "tag late", title: plan.rejected_reason ?? "" }, t(`plan.state.${plan.state}`)) : null,
    steps(plan),
    onNotice(plan),
    h("span", { class: "mid saved", role: "status" }, saved(state)),
    draws && !narrow.matches ? [button("undo", "undo", act.undo, { disabled: !act.may("undo"), symbol: "undo" }), button("redo", "redo", act.redo, { disabled: !act.may("redo"), symbol: "redo" })] : null,
    button("compare", "compare", act.compare, { disabled: false }),
    act.may("withdraw") && plan.state !== "draft" ? button("withdraw", "withdraw", () => act.step("withdraw")) : null,
    act.may("reject") ? button("reject", "reject", () => rejecting(act), { danger: true }) : null,
    act.may("revert") ? button("revert", "revert", () => reverting(act, plan), { danger: true }) : null,
    act.may("approve") ? button("approve", "approve", () => act.step("approve"), { primary: true }) : null,
    draws ? button("submit", "submit", () => act.step("submit"), { primary: true, disabled: blocked || !act.may("submit"), text: submit }) : null,
  ); // prettier-ignore
}
