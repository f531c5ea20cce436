// Loading, empty, failed, old: the same shapes in every panel, and the messages at the corner.
import { byId, h, icon } from "./dom.js";
import { clock, t } from "./i18n.js";

export const bones = (n = 6) =>
  h(
    "div",
    { class: "bones", "aria-hidden": "true" },
    Array.from({ length: n }, () => h("i")),
  );

/** A request failed and nothing older is there to show. */
export function failed(what, error, retry) {
  return h(
    "div",
    { class: "banner bad", role: "alert" },
    icon("hazard"),
    h(
      "div",
      { class: "grow" },
      h("b", {}, t("state.error", { what: t(what) })),
      h(
        "div",
        {},
        error.detail ? `${error.detail} · ` : "",
        t("state.code", { code: [error.code, error.number].filter(Boolean).join(" ") }),
      ),
    ),
    h("button", { type: "button", onclick: retry, "data-key": `retry-${what}` }, t("state.retry")),
  );
}

/** A request failed; older data is still shown. */
export function stale(what, at, retry) {
  return h(
    "div",
    { class: "banner warn", role: "status" },
    icon("hazard"),
    h("div", { class: "grow" }, t("state.stale", { what: t(what), time: clock(at) })),
    h("button", { type: "button", onclick: retry, "data-key": `retry-${what}` }, t("state.retry")),
  );
}

export function empty(symbol, title, note, action) {
  return h(
    "div",
    { class: "empty" },
    h("span", { class: "disc" }, icon(symbol)),
    h("h3", {}, title),
    note ? h("p", {}, note) : null,
    action
      ? h("button", { type: "button", class: "button", onclick: action.act, "data-key": "empty-action" }, action.label)
      : null,
  );
}

/** What a resource's state asks to be drawn instead of, or above, its content: {instead} or {above}. */
export function around(state, what, retry, boneCount) {
  if (!state.data) {
    if (state.error) return { instead: failed(what, state.error, retry) };
    const waiting = state.late
      ? h("p", { class: "note waiting", role: "status" }, t("state.waiting", { what: t(what) }))
      : null;
    return { instead: state.slow ? [waiting, bones(boneCount)] : h("div", { class: "blank" }) };
  }
  return { above: state.error ? stale(what, state.at, retry) : null };
}

/** A message bottom right; success goes after four seconds, others stay until dismissed. At most three. Gives its element. */
export function toast(symbol, text, { lasting = false, action = null } = {}) {
  const node = h(
    "div",
    { class: "toast", role: lasting ? "alert" : "status" },
    icon(symbol),
    h("span", { class: "grow" }, text),
    action
      ? h(
          "button",
          {
            type: "button",
            onclick: () => {
              action.act();
              node.remove();
            },
          },
          action.label,
        )
      : null,
    lasting
      ? h("button", { type: "button", "aria-label": t("close"), onclick: () => node.remove() }, icon("close"))
      : null,
  );
  const shelf = byId("toasts");
  shelf.append(node);
  while (shelf.children.length > 3) shelf.firstChild.remove();
  if (!lasting) setTimeout(() => node.remove(), 4000);
  return node;
}

/** Says something to screen readers; counts, never rows. */
export const announce = (text) => {
  byId("announcer").textContent = text;
};
