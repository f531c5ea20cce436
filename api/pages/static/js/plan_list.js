// All plans, and a new one: an area is chosen, a name given.
import { get, send } from "./api.js";
import { ask, labelled, said } from "./admin_forms.js";
import { byId, draw, h, icon } from "./dom.js";
import { number, shortMoment, t } from "./i18n.js";
import { all, loadPlaces } from "./places.js";
import { resource } from "./resource.js";
import { around, empty } from "./states.js";

const STATES = ["draft", "submitted", "approved", "published", "rejected", "withdrawn"];
const MARKS = { draft: "doing", submitted: "todo", approved: "done", rejected: "late" };

function row(plan, open) {
  const press = () => open(plan.id);
  return h(
    "tr",
    { onclick: press },
    h("th", { scope: "row" }, h("button", { type: "button", class: "plain", "data-key": `plan-${plan.id}` }, h("b", {}, plan.name))),
    h("td", {}, plan.scope_name),
    h("td", {}, h("span", { class: `tag ${MARKS[plan.state] ?? ""}` }, t(`plan.state.${plan.state}`)),
      plan.base_current || ["published", "withdrawn"].includes(plan.state) ? null : h("span", { class: "tag late" }, t("plan.base_changed_tag"))),
    h("td", {}, t("plan.edition", { n: plan.base }), plan.edition ? ` → ${plan.edition}` : ""),
    h("td", { class: "figure" }, number(plan.head)),
    h("td", {}, plan.created_by),
    h("td", { class: "dim" }, shortMoment(plan.updated_at)),
  ); // prettier-ignore
}

/** Areas that a plan may open on, the smaller ones first asked for: villages, towns, counties. */
async function places() {
  if (!all().length) await loadPlaces();
  const order = ["village", "town", "county"];
  return all().filter((one) => order.includes(one.kind)).sort((a, b) => (a.code < b.code ? -1 : 1)); // prettier-ignore
}

/** Asks for area and name and opens the plan. */
async function begin(open, area) {
  const found = await places().catch(() => []);
  const town = (one) => found.find((each) => each.code === one.parent)?.name ?? "";
  const list = h("datalist", { id: "plan-areas" }, found.map((one) => h("option", { value: one.code }, [town(one), one.name].filter(Boolean).join(" · "))));
  const name = h("input", { class: "field", name: "name", required: true, maxlength: 200, autocomplete: "off" });
  /** The area whose code, or whose name that no other has, was typed. */
  const meant = () => {
    const typed = scope.value.trim();
    const named = found.filter((each) => each.name === typed);
    return found.find((each) => each.code === typed) ?? (named.length === 1 ? named[0] : undefined);
  };
  const suggest = () => {
    const one = meant();
    hint.textContent = one ? `${town(one)} ${one.name}` : t("plan.new.area_hint");
    if (one && !name.dataset.own) name.value = t("plan.new.suggested", { name: one.name });
  };
  const scope = h("input", { class: "field", name: "scope", required: true, list: "plan-areas", autocomplete: "off", value: area ?? "", oninput: suggest, onchange: suggest });
  const hint = h("span", { class: "dim small" }, t("plan.new.area_hint"));
  name.addEventListener("input", () => (name.dataset.own = "1"));
  ask(t("plan.new"), [labelled(t("plan.new.area"), scope), hint, list, labelled(t("plan.new.name"), name)], t("plan.new.open"), async (form) => {
    const plan = await send("POST", "/api/plans?areas=false", { name: form.get("name"), scope: meant()?.code ?? form.get("scope").trim() });
    open(plan.id);
  });
  suggest();
} // prettier-ignore

/** The list in #plan-list. `context`: plans (may I draw), open(id). */
export function createList({ plans: draws, open }) {
  let state = "";
  const found = resource((signal) => get("/api/plans", { state, limit: 200 }, signal), show);

  function show(now) {
    const panel = byId("plan-list");
    const filter = h("div", { class: "segments tabs", role: "tablist" }, ["", ...STATES.slice(0, 4)].map((one) =>
      h("button", { type: "button", role: "tab", "data-key": `state-${one}`, "aria-selected": String(one === state), onclick: () => { state = one; found.refresh(); } },
        one ? t(`plan.state.${one}`) : t("plan.all"))));
    const head = h("header", { class: "head" }, h("h1", {}, t("nav.plan")), filter,
      draws ? h("button", { type: "button", class: "button primary", "data-key": "new", onclick: () => begin(open) }, icon("plus"), t("plan.new")) : null);
    const frame = around(now, "plan.what.plans", () => found.refresh(), 6);
    if (frame.instead) return draw(panel, head, frame.instead);
    const { plans } = now.data;
    if (!plans.length) {
      const start = draws ? { label: t("plan.new"), act: () => begin(open) } : null;
      return draw(panel, head, empty("split", t("plan.none"), t(draws ? "plan.none_note" : "plan.none_approve"), start));
    }
    const column = (key, name) => h("th", { scope: "col", class: name }, t(`plan.list.${key}`));
    return draw(panel, head, frame.above, h("div", { class: "scroll" }, h("table", {},
      h("caption", { class: "unseen" }, t("nav.plan")),
      h("thead", {}, h("tr", {}, column("name"), column("area"), column("state"), column("base"), column("edits", "figure"), column("by"), column("at"))),
      h("tbody", {}, plans.map((plan) => row(plan, open)))), now.data.next ? h("p", { class: "note more" }, t("plan.list.more")) : null));
  } // prettier-ignore

  return { refresh: () => found.refresh(), redraw: () => found.redraw(), stop: () => found.stop(), begin: (area) => begin(open, area), said };
}
