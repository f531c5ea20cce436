// Administration: three tabs, accounts, categories and audit; the address says which, so that a reload shows the same.
import * as api from "./api.js";
import { createAudit } from "./admin_audit.js";
import { createCategories } from "./admin_categories.js";
import { createUsers } from "./admin_users.js";
import { byId, draw, h } from "./dom.js";
import { drawTools, switchTheme } from "./header.js";
import * as i18n from "./i18n.js";
import { askPassword } from "./session.js";

const page = document.body.dataset;
i18n.start(page.timeZone, page.language);

const tabs = { users: createUsers, categories: createCategories, audit: createAudit };
let current = null;
let shown = location.hash.slice(1) in tabs ? location.hash.slice(1) : "users";

function drawTabs() {
  const tab = (name) =>
    h(
      "button",
      {
        type: "button",
        role: "tab",
        "data-key": name,
        "aria-selected": String(name === shown),
        "aria-controls": "list",
        onclick: () => open(name),
      },
      i18n.t(`admin.${name}`),
    );
  draw(byId("tabs"), Object.keys(tabs).map(tab));
}

function open(name) {
  shown = name;
  history.replaceState(null, "", name === "users" ? location.pathname : `#${name}`);
  byId("detail").hidden = true;
  drawTabs();
  current = tabs[name]();
}

function drawAll() {
  document.title = `${i18n.t("nav.admin")} · ${page.title}`;
  drawTools(null, {
    theme: () => {
      switchTheme();
      drawAll();
    },
  });
  drawTabs();
}

api.on("expired", () => askPassword(page.user, page.displayName, () => current?.refresh()));
i18n.onLanguage(() => {
  drawAll();
  current?.draw();
});
drawAll();
open(shown);
