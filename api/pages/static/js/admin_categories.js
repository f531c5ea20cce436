// Categories: which roles each is closed to, and changing it with a reason.
import { get, send } from "./api.js";
import { ROLES, ask, field, labelled } from "./admin_forms.js";
import { byId, draw, h } from "./dom.js";
import { listed, t } from "./i18n.js";
import { announce, bones, failed, toast } from "./states.js";

export function createCategories() {
  const state = { categories: null, error: null };
  const list = byId("list");

  async function load() {
    try {
      state.categories = (await get("/api/categories")).categories;
      state.error = null;
      announce(t("admin.count", { n: state.categories.length }));
    } catch (error) {
      state.error = error;
    }
    drawRows();
  }

  function change({ category, closed_to }) {
    const box = (role) =>
      h(
        "label",
        { class: "check" },
        h("input", { type: "checkbox", name: "closed_to", value: role, checked: closed_to.includes(role) }),
        h("span", {}, t(`roles.${role}`)),
      );
    ask(
      t("admin.close_to", { category: t(`category.${category}`) }),
      [
        h("p", { class: "mid" }, t("admin.close_note")),
        h("fieldset", { class: "checks" }, h("legend", {}, t("admin.closed_to")), ROLES.map(box)),
        labelled(t("admin.reason"), field({ name: "reason", required: true, maxlength: 500 })),
      ],
      t("admin.save"),
      async (form) => {
        const said = { category, closed_to: form.getAll("closed_to"), reason: form.get("reason").trim() };
        state.categories = (await send("POST", "/api/categories", said)).categories;
        toast("check", t("admin.saved"));
        drawRows();
      },
    );
  }

  function row(one) {
    const closed = listed(one.closed_to.map((role) => t(`roles.${role}`)));
    const name = t(`category.${one.category}`);
    return h(
      "tr",
      {},
      h("td", {}, name),
      h("td", { class: "wide" }, closed || h("span", { class: "dim" }, t("admin.open_to_all"))),
      h(
        "td",
        {},
        h("button", { type: "button", class: "button", "aria-label": `${t("admin.change")} ${name}`, onclick: () => change(one) }, t("admin.change")),
      ),
    );
  }

  function drawRows() {
    const heads = h("tr", {}, [t("admin.category"), t("admin.closed_to"), ""].map((text) => h("th", { scope: "col" }, text)));
    let content;
    if (!state.categories) content = state.error ? failed("admin.categories", state.error, load) : bones(6);
    else content = h("table", { class: "records categories" }, h("thead", {}, heads), h("tbody", {}, state.categories.map(row)));
    draw(list.querySelector(".scroll"), content);
  }

  function drawAll() {
    draw(list, h("p", { class: "mid about" }, t("admin.close_note")), h("div", { class: "scroll" }));
    drawRows();
  }

  drawAll();
  load();
  return { draw: drawAll, refresh: load };
}
