// The right end of the bar: how fresh the data is, theme, language, who is signed in; and the offline bar.
import { lastAnswer } from "./api.js";
import { byId, draw, h, icon } from "./dom.js";
import { clock, getLanguage, setLanguage, t } from "./i18n.js";
import { changePassword } from "./password.js";
import { isDark } from "./tokens.js";

const page = document.body.dataset;

function roleLine() {
  const roles = page.roles
    .split(",")
    .filter(Boolean)
    .map((role) => t(`roles.${role}`));
  return [roles[0], page.areaName].filter(Boolean).join(" · ");
}

function account(act, open) {
  const csrf = document.querySelector('meta[name="csrf"]').content;
  return h(
    "details",
    { class: "account", open },
    h(
      "summary",
      { "aria-label": t("account"), "data-key": "account" },
      h("span", { class: "avatar", "aria-hidden": "true" }, [...(page.displayName || page.user || "·")][0]),
      h(
        "span",
        { class: "who" },
        h("span", {}, page.displayName || page.user),
        h("span", { class: "dim small" }, roleLine()),
      ),
    ),
    h(
      "div",
      { class: "card menu" },
      h(
        "p",
        { class: "menu-who" },
        h("b", {}, page.displayName || page.user),
        h("span", { class: "dim small" }, roleLine()),
      ),
      act.keys ? h("button", { type: "button", onclick: act.keys }, icon("keys"), t("keys")) : null,
      h("button", { type: "button", onclick: changePassword }, icon("lock"), t("password.change")),
      h(
        "button",
        { type: "button", class: "only-narrow-flex", onclick: act.theme },
        icon(isDark() ? "sun" : "moon"),
        t(isDark() ? "theme.light" : "theme.dark"),
      ),
      h("button", { type: "button", class: "only-narrow-flex", onclick: switchLanguage }, icon("globe"), t("language")),
      h(
        "form",
        { method: "post", action: "/logout" },
        h("input", { type: "hidden", name: "csrf", value: csrf }),
        h("button", { type: "submit" }, icon("out"), t("sign_out")),
      ),
    ),
  );
}

const switchLanguage = () => {
  const query = location.search
    .slice(1)
    .split("&")
    .filter((one) => one && !one.startsWith("lang="));
  history.replaceState(null, "", query.length ? `?${query.join("&")}` : location.pathname);
  setLanguage(getLanguage() === "en" ? "zh" : "en");
};

function freshness(live) {
  const since = clock(live === "off" ? lastAnswer : Date.now());
  return h(
    "span",
    { class: "live", id: "live", title: live === "off" ? t("live.since", { time: since }) : "" },
    h("i", { class: `dot ${live === "off" ? "full" : "on"}` }),
    h("span", {}, t(`live.${live}`)),
    h("span", { class: "mid" }, ` · ${since}`),
  );
}

/** Draws the tools. `live`: "on", "polling" or "off"; null on a page that shows nothing live. */
export function drawTools(live, act) {
  // Drawn anew with every answer: a menu that somebody has just opened stays open.
  const open = byId("tools").querySelector(".account[open]") !== null;
  draw(
    byId("tools"),
    live ? freshness(live) : null,
    h(
      "button",
      {
        type: "button",
        class: "round wide-only",
        "data-key": "theme",
        "aria-label": t(isDark() ? "theme.light" : "theme.dark"),
        title: t(isDark() ? "theme.light" : "theme.dark"),
        onclick: act.theme,
      },
      icon(isDark() ? "sun" : "moon"),
    ),
    h(
      "button",
      {
        type: "button",
        class: "language wide-only",
        "data-key": "language",
        "aria-label": t("language.label"),
        lang: getLanguage() === "en" ? "zh" : "en",
        onclick: switchLanguage,
      },
      t("language"),
    ),
    account(act, open),
  );
}

/** The bar that says since when nothing answered; hidden while all is well. */
export function drawOffline(offline, since) {
  const bar = byId("offline");
  bar.hidden = !offline;
  if (!offline) return;
  const minutes = Math.floor((Date.now() - since) / 60000);
  draw(
    bar,
    icon("offline"),
    h("b", {}, t(minutes ? "state.offline" : "state.offline_now", { minutes, time: clock(since) })),
  );
}

export function switchTheme() {
  const next = isDark() ? "light" : "dark";
  document.documentElement.dataset.theme = next;
  try {
    localStorage.setItem("gridmap.theme", next);
  } catch {
    /* storage may be refused */
  }
}
