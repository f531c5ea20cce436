// What people say of a plan before it is published, and saying something oneself.
import { get, send } from "./api.js";
import { said } from "./admin_forms.js";
import { draw, h } from "./dom.js";
import { shortMoment, t } from "./i18n.js";
import { bones, empty, failed, toast } from "./states.js";

/** The states in which there is something to be said, or was. */
export const SPOKEN_OF = ["submitted", "approved", "published"];

/** The panel; it keeps what somebody is writing while the desk around it is drawn anew. */
export function createComments() {
  const list = h("div", { class: "scroll" });
  const words = h("textarea", { class: "field", name: "comment", rows: 3, maxlength: 2000, required: true });
  const button = h("button", { type: "submit", class: "button primary" });
  const form = h("form", { class: "publish", onsubmit: say }, words, button);
  let plan = null;
  let asked = 0;

  async function load() {
    const turn = ++asked;
    try {
      const found = [];
      let answer = await get(`/api/plans/${plan.id}/comments`, { limit: 500 });
      found.push(...answer.comments);
      while (answer.next) {
        answer = await get(answer.next);
        found.push(...answer.comments);
      }
      if (turn === asked) rows(found);
    } catch (error) {
      if (turn === asked) draw(list, failed("plan.what.comments", error, load));
    }
  }

  function rows(found) {
    const row = (one) =>
      h("li", {}, h("b", {}, one.by), h("span", { class: "dim small" }, ` ${shortMoment(one.at)}`), h("p", {}, one.text));
    draw(list, found.length ? h("ol", { class: "comments" }, found.map(row)) : empty("info", t("plan.no_comments"), t("plan.no_comments_note")));
  }

  async function say(event) {
    event.preventDefault();
    button.disabled = true;
    try {
      await send("POST", `/api/plans/${plan.id}/comments`, { text: words.value.trim() });
      words.value = "";
      toast("check", t("plan.commented"));
      await load();
    } catch (error) {
      toast("hazard", said(error), { lasting: true });
    }
    button.disabled = false;
  }

  /** Shows it in a panel. `may`: whether something may be said now. */
  function show(panel, of, may) {
    const other = plan?.id !== of.id || plan.revision !== of.revision || !panel.contains(list);
    plan = of;
    form.hidden = !may;
    words.setAttribute("aria-label", t("plan.comment"));
    words.placeholder = t("plan.comment");
    button.textContent = t("plan.do.comment");
    if (panel.firstChild !== list) panel.replaceChildren(list, form);
    if (!other) return;
    draw(list, bones(4));
    load();
  }

  return { show };
}
