// The side of the desk: its tabs, what can be taken out, and a pane for each tab that stays while another is shown.
import { byId, draw, h, icon, narrow } from "./dom.js";
import { getLanguage, number, t } from "./i18n.js";
import { SPOKEN_OF } from "./plan_comments.js";
import { counts } from "./plan_panels.js";

const TABS = ["grids", "check", "impact", "edits"];
export const isTab = (name) => TABS.includes(name);

/** The menu closes when something else is pressed. */
const shut = (event) => {
  if (!event.currentTarget.contains(event.relatedTarget)) event.currentTarget.open = false;
};

/** What can be taken out, as links: the browser saves or shows them. */
const exports_ = (id) =>
  h("details", { class: "export", onfocusout: shut }, h("summary", { "data-key": "export", title: t("plan.export"), "aria-label": t("plan.export") }, icon("export"), h("span", {}, t("plan.export"))),
    h("div", { class: "card menu" }, ["xlsx", "gpkg", "map", "page"].map((format) =>
      h("a", { href: `/api/plans/${id}/export?format=${format}`, target: ["map", "page"].includes(format) ? "_blank" : null, rel: "noopener", download: ["map", "page"].includes(format) ? null : "" },
        t(`plan.export.${format}`))))); // prettier-ignore

/** What stands beside a tab's name: pairs of class and number; "good" has a check mark instead. */
function badges(name, state) {
  if (name === "grids") return [["", state.metrics?.total?.grids ?? 0]];
  if (name === "edits") return [["", state.plan?.head ?? 0]];
  if (name !== "check" || !state.check) return [];
  const { errors, warnings } = counts(state);
  if (!errors && !warnings) return [["good", 0]];
  return [["bad", errors], ["warn", warnings]].filter(([, n]) => n); // prettier-ignore
}

const SAID = { bad: "plan.errors", warn: "plan.warnings" };
const badge = ([kind, n]) =>
  h("span", { class: `badge ${kind}`, "aria-label": kind in SAID ? t(SAID[kind], { n }) : null }, kind === "good" ? icon("check") : number(n));

/** `show(name)` is called when a tab is pressed. */
export function createSide(show) {
  const [buttons, panes] = [new Map(), new Map()];
  let made = "";
  byId("plan-panel").replaceChildren();

  function make(names, plan) {
    buttons.clear();
    for (const name of names) {
      const press = () => show(name);
      buttons.set(name, h("button", { type: "button", role: "tab", "data-key": `tab-${name}`, id: `tab-${name}`, "aria-controls": "plan-panel", onclick: press }));
    }
    draw(byId("plan-tabs"), [...buttons.values()]);
    draw(byId("plan-export"), plan ? exports_(plan.id) : null);
  } // prettier-ignore

  return {
    has: (name, state) => name !== "comments" || SPOKEN_OF.includes(state.plan?.state),
    /**
     * The tabs as they are now. They stay the same buttons: one that is drawn anew while the keyboard is on it has the
     * whole page laid out before it can take the keyboard again.
     */
    tabs(state, tab) {
      const names = [...TABS, "comments"].filter((name) => this.has(name, state));
      const of = [getLanguage(), state.plan?.id, ...names].join();
      const fresh = of !== made;
      if (fresh) make(names, state.plan);
      made = of;
      for (const [name, button] of buttons) {
        button.setAttribute("aria-selected", String(name === tab));
        const beside = badges(name, state);
        if (!fresh && button.dataset.says === String(beside)) continue;
        button.dataset.says = String(beside);
        button.replaceChildren(t(`plan.tab.${name}`), ...beside.map(badge));
      }
    },
    /** The pane of a tab. The others keep what they hold, out of sight: a long list is not taken apart and laid out again. */
    pane(tab) {
      const panel = byId("plan-panel");
      // On a phone the panel scrolls, not the pane: another one begins at its top.
      if (narrow.matches && panes.get(tab)?.classList.contains("away") !== false) panel.scrollTop = 0;
      if (!panes.has(tab)) panes.set(tab, panel.appendChild(h("div", { class: "pane", "data-pane": tab })));
      for (const [name, pane] of panes) pane.classList.toggle("away", name !== tab);
      panel.setAttribute("aria-labelledby", `tab-${tab}`);
      return panes.get(tab);
    },
  };
}
