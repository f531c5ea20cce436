// Single keys. They do nothing while typing, and can be switched off.
import { h } from "./dom.js";
import { t } from "./i18n.js";

let enabled = true;
try {
  enabled = localStorage.getItem("gridmap.keys") !== "off";
} catch {
  /* storage may be refused */
}

const typing = (node) => node?.closest?.("input:not([type=checkbox]), textarea, select, [contenteditable]");

/** A page of the bar by its letter; nothing where there is none for this account. */
const go = (letter) => document.querySelector(`nav a[data-go="${CSS.escape(letter)}"]`)?.click();

/** Wires keys to actions: {"/": f, "[": f, "]": f, "?": f, Escape: f}; `g` and a letter lead to another page. */
export function listen(actions) {
  let going = false;
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.key === "Shift") return;
    if (typing(event.target)) return;
    const wanted = going && enabled;
    going = event.key === "g" && !wanted;
    if (wanted) go(event.key);
    if (wanted || going) return;
    const act = actions[event.key];
    if (!act) return;
    if (event.key !== "Escape" && !enabled && event.key !== "?") return;
    if (act() !== false && event.key !== "Escape") event.preventDefault();
  });
}

const LIST = [
  [["/"], "key.search"],
  [["[", "]"], "key.period"],
  [["+", "-"], "key.zoom"],
  [["←", "↑", "→", "↓"], "key.pan"],
  [["g", "c"], "nav.command"],
  [["g", "p"], "nav.plan"],
  [["Esc"], "key.escape"],
  [["?"], "key.help"],
];

/** Opens the list of keys, of the page at hand where it has others. */
export function help(list = LIST) {
  document.querySelector("dialog.help")?.remove();
  const toggle = h("input", {
    type: "checkbox",
    checked: enabled,
    onchange: (event) => {
      enabled = event.target.checked;
      try {
        localStorage.setItem("gridmap.keys", enabled ? "on" : "off");
      } catch {
        /* storage may be refused */
      }
    },
  });
  const dialog = h(
    "dialog",
    { class: "help", "aria-label": t("keys"), onclose: () => dialog.remove() },
    h("h2", {}, t("keys")),
    h(
      "div",
      { class: "keys" },
      (Array.isArray(list) ? list : LIST).map(([keys, what]) => [
        h(
          "span",
          {},
          keys.map((key) => h("kbd", { class: "key" }, key)),
        ),
        h("span", {}, t(what)),
      ]),
    ),
    h(
      "div",
      { class: "row" },
      h("label", { class: "check grow" }, toggle, t("key.letters")),
      h("button", { type: "button", class: "button", autofocus: true, onclick: () => dialog.close() }, t("close")),
    ),
  );
  document.body.append(dialog);
  dialog.showModal();
}
