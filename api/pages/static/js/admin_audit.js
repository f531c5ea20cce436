// The audit: who did or read what, newest first, by what is asked.
import { get } from "./api.js";
import { choose, field, labelled } from "./admin_forms.js";
import { byId, draw, h } from "./dom.js";
import { has, shortMoment, t } from "./i18n.js";
import { announce, bones, empty, failed } from "./states.js";

const GROUPS = ["", "sign_in", "sign_in.failed", "event.read", "account.", "token.", "edition.", "load.", "dump.", "event.reassign", "event.erase", "retention.set", "category.close", "db.backup", "audit."];
const actionName = (action) => (has(`audit.${action}`) ? t(`audit.${action}`) : action);

export function createAudit() {
  const state = { asked: {}, records: null, next: null, head: null, error: null };
  const list = byId("list");
  let turn = 0;

  async function load(path) {
    const mine = ++turn;
    try {
      const found = await (path ? get(path) : get("/api/audit", { ...state.asked, limit: 100 }));
      if (mine !== turn) return;
      state.records = path ? [...state.records, ...found.records] : found.records;
      Object.assign(state, { next: found.next, head: found.head, error: null });
      announce(t("admin.count", { n: state.records.length }));
    } catch (error) {
      state.error = error;
    }
    drawRows();
  }

  const told = (detail) =>
    Object.entries(detail)
      .filter(([, value]) => value != null && value !== "")
      .map(([name, value]) => `${name}: ${typeof value === "object" ? JSON.stringify(value) : value}`)
      .join(" · ");

  function row(one) {
    const events = one.events && one.events.length > 1 ? t("admin.events", { n: one.events.length }) : null;
    return h(
      "tr",
      {},
      h("td", {}, h("time", { datetime: one.at, title: one.at }, shortMoment(one.at))),
      h("td", {}, one.actor),
      h("td", { title: one.action }, actionName(one.action)),
      h("td", { class: "wide" }, h("span", { class: "code" }, one.object), events ? h("div", { class: "dim" }, events) : null),
      h("td", { class: "code" }, one.area ?? ""),
      h("td", {}, one.edition ?? ""),
      h("td", { class: "wide" }, one.reason ? h("div", {}, one.reason) : null, h("div", { class: "dim" }, told(one.detail))),
    );
  }

  function drawRows() {
    const keys = ["admin.at", "admin.actor", "admin.action", "admin.object", "admin.area", "admin.edition", "admin.reason"];
    const heads = h("tr", {}, keys.map((key) => h("th", { scope: "col" }, t(key))));
    let content;
    if (!state.records) content = state.error ? failed("admin.audit", state.error, () => load()) : bones(8);
    else if (!state.records.length) content = empty("search", t("admin.no_records"), t("admin.no_records_note"));
    else content = h("table", { class: "records" }, h("thead", {}, heads), h("tbody", {}, state.records.map(row)));
    draw(list.querySelector(".scroll"), content);
    draw(
      list.querySelector(".more"),
      state.next ? h("button", { class: "button", type: "button", onclick: () => load(state.next) }, t("admin.more")) : null,
      state.head ? h("span", { class: "note" }, t("admin.head", { head: state.head.split(":")[0] }), " ", h("code", {}, state.head.split(":")[1].slice(0, 16)), "…") : null,
    );
  }

  function drawAll() {
    const control = (name, key, attributes = {}) => labelled(t(key), field({ name, value: state.asked[name] ?? "", ...attributes }));
    const actions = choose(
      GROUPS.map((group) => [group, group ? actionName(group) : t("admin.all")]),
      { name: "action" },
    );
    actions.value = state.asked.action ?? "";
    const submit = (event) => {
      event.preventDefault();
      state.asked = Object.fromEntries([...new FormData(event.target)].filter(([, value]) => value));
      load();
    };
    draw(
      list,
      h(
        "form",
        { class: "filters asked", onsubmit: submit },
        control("actor", "admin.actor"),
        labelled(t("admin.action"), actions),
        control("object", "admin.object", { placeholder: "event:17" }),
        control("area", "admin.area", { pattern: "[A-Za-z0-9_]*" }),
        control("from", "admin.from", { type: "date" }),
        control("to", "admin.to", { type: "date" }),
        h("button", { type: "submit", class: "button primary" }, t("admin.show")),
      ),
      h("div", { class: "scroll" }),
      h("div", { class: "more" }),
    );
    drawRows();
  }

  drawAll();
  load();
  return { draw: drawAll, refresh: () => load() };
}
