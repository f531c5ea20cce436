// Publication: the moment in force, how long a plan is still on notice, and the question before it is done.
import { ask } from "./admin_forms.js";
import { h } from "./dom.js";
import { number, shortMoment, t } from "./i18n.js";
import { withZone } from "./plan_words.js";

const LONGEST_MS = 60_000;
const MINUTE = 60_000;

/** Milliseconds that an approved plan is still on notice; 0 where it is not. */
export const noticeLeft = ({ state, notice_until: until }) =>
  state === "approved" && until ? Math.max(0, new Date(until) - Date.now()) : 0;

/** How long that is, in words: the largest unit of which there are two. */
export function leftWords(ms) {
  const minutes = Math.ceil(ms / MINUTE);
  if (minutes >= 2 * 24 * 60) return t("plan.left.days", { n: number(Math.floor(minutes / 24 / 60)) });
  if (minutes >= 2 * 60) return t("plan.left.hours", { n: number(Math.floor(minutes / 60)) });
  return t("plan.left.minutes", { n: number(minutes) });
}

/** Calls `look` every minute while a plan is on notice and when that is over: until publication is allowed, or clocks differ. */
export function createNoticeClock(look) {
  let timer = 0;
  return {
    set(plan) {
      clearTimeout(timer);
      if (plan.state !== "approved" || !plan.notice_until || plan.may.includes("publish")) return;
      const left = new Date(plan.notice_until) - Date.now();
      if (left > -LONGEST_MS) timer = setTimeout(look, Math.min(Math.max(left, 0) + 500, LONGEST_MS));
    },
    stop: () => clearTimeout(timer),
  };
}

const publishing = (act, plan, when) =>
  ask(
    t("plan.publish.title", { n: plan.base + 1 }),
    h("p", { class: "mid" }, when ? t("plan.publish.later", { time: when.replace("T", " ") }) : t("plan.publish.now")),
    t("plan.do.publish_as", { n: plan.base + 1 }),
    () => act.publish(when),
  );

function why(plan, ready) {
  if (ready) return t("plan.publish.note", { n: plan.base });
  const left = noticeLeft(plan);
  if (left) return t("plan.publish.notice", { time: shortMoment(plan.notice_until), left: leftWords(left) });
  if (!plan.base_current) return t("plan.base_changed_short");
  return plan.state === "submitted" ? t("plan.publish.first") : "";
}

/**
 * The box in which the approver sets the moment in force and publishes. It stays one box for as long as the desk is open:
 * a moment that is half filled in has no value yet that could be kept. `act`: approves, offline, zone, may(what),
 * publish(when).
 */
export function createPublishBox(act) {
  let [plan, wrong] = [null, ""];
  const field = h("input", { class: "field", type: "datetime-local", "data-key": "effective", oninput: () => say("") });
  const note = h("p", { class: "dim small", id: "publish-note", role: "status" });
  const button = h("button", { type: "button", class: "button primary", "data-key": "publish", onclick: press });
  const [title, own, label] = [h("h3"), h("span", { class: "dim small" }), h("span", { class: "dim small" })];
  const box = h(
    "footer",
    { class: "publish" },
    h("header", { class: "part-head" }, title, own),
    h("div", { class: "row" }, h("label", { class: "force" }, label, field), button),
    note,
  );
  field.setAttribute("aria-describedby", note.id);

  /** What is wrong with the moment, "half" or "past", in place of what stands there otherwise. */
  function say(what) {
    wrong = what;
    note.classList.toggle("wrong", Boolean(wrong));
    field.setAttribute("aria-invalid", String(Boolean(wrong)));
    note.textContent = wrong ? t(`plan.publish.${wrong}`) : why(plan, act.may("publish"));
  }

  /** A moment that is half filled in reads as none, which would be now. */
  function press() {
    const past = () => field.value && new Date(withZone(field.value, act.zone)) < Date.now();
    say(field.validity.badInput ? "half" : past() ? "past" : "");
    if (wrong) field.focus();
    else publishing(act, plan, field.value);
  }

  /** The box for a plan as it is now; null where there is nothing to be published. */
  return function of(next) {
    plan = next;
    if (!act.approves || !["submitted", "approved"].includes(plan.state)) return null;
    const ready = act.may("publish");
    field.disabled = button.disabled = !ready || act.offline;
    field.setAttribute("aria-label", t("plan.publish.force"));
    title.textContent = t("plan.publish.head");
    own.textContent = t("plan.own_not");
    label.textContent = t("plan.publish.force");
    button.textContent = t("plan.do.publish_as", { n: plan.base + 1 });
    say(ready ? wrong : "");
    return box;
  };
}
