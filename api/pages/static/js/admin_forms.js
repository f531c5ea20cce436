// What the forms of administration share: fields, choices of roles and areas, dialogs, and what went wrong.
import { get } from "./api.js";
import { h, icon } from "./dom.js";
import { has, t } from "./i18n.js";

export const ROLES = ["admin", "planner", "approver", "dispatcher", "commander", "worker", "source"];

export const labelled = (text, control) => h("label", { class: "labelled" }, h("span", {}, text), control);

export const field = (attributes = {}) => h("input", { class: "field", autocomplete: "off", ...attributes });

export const choose = (options, attributes = {}) =>
  h(
    "select",
    { class: "field", ...attributes },
    options.map(([value, text]) => h("option", { value }, text)),
  );

/** A role to choose: none stands chosen beforehand, least of all the mightiest. */
export const chooseRole = () =>
  choose([["", t("admin.role_choose")], ...ROLES.map((role) => [role, t(`roles.${role}`)])], { name: "role", required: true });

let lists = 0;

/** A field for an area's code, with names and codes to choose from while typing. */
export function chooseArea() {
  const list = h("datalist", { id: `areas-${++lists}` });
  const input = field({ name: "area", required: true, list: list.id, placeholder: t("admin.area_hint"), pattern: "\\*|[A-Za-z0-9_]+" });
  let asked = 0;
  input.addEventListener("input", async () => {
    const turn = ++asked;
    const q = input.value.trim();
    if (!q || q === "*") return;
    const found = await get("/api/search", { q }).catch(() => null);
    if (turn !== asked || !found) return;
    const areas = found.results.filter((one) => one.type === "area");
    list.replaceChildren(...areas.slice(0, 10).map((one) => h("option", { value: one.code }, one.name)));
  });
  return [input, list];
}

/** The problem in words: those we know by their code, else what the service said. */
export function said(error) {
  const key = `problem.${error.code}`;
  return has(key) ? t(key) : [error.detail, error.code].filter(Boolean).join(" · ");
}

/** A dialog with a form; `submit(form)` may throw a Problem, which is said in place. */
export function ask(title, content, label, submit, danger = false) {
  const wrong = h("p", { class: "banner bad", role: "alert", hidden: true });
  const close = () => dialog.remove();
  const dialog = h(
    "dialog",
    { "aria-label": title, onclose: close },
    h("h2", {}, title),
    h(
      "form",
      {
        onsubmit: async (event) => {
          event.preventDefault();
          try {
            await submit(new FormData(event.target));
            close();
          } catch (error) {
            wrong.hidden = false;
            wrong.replaceChildren(icon("hazard"), h("span", {}, said(error)));
          }
        },
      },
      wrong,
      content,
      h(
        "div",
        { class: "row" },
        h("button", { type: "button", class: "button", onclick: close }, t("admin.cancel")),
        h("button", { type: "submit", class: danger ? "button danger" : "button primary" }, label),
      ),
    ),
  );
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/** Shows a token, this once. */
export function reveal(title, note, secret) {
  const dialog = h(
    "dialog",
    { "aria-label": title, onclose: () => dialog.remove() },
    h("h2", {}, title),
    h("p", { class: "mid" }, note),
    h("code", { class: "secret" }, secret),
    h(
      "div",
      { class: "row" },
      h("button", { type: "button", class: "button primary", onclick: () => dialog.close() }, t("admin.done")),
    ),
  );
  document.body.append(dialog);
  dialog.showModal();
}
