// The planning desk: the list of plans, or one of them; the address says which.
import * as api from "./api.js";
import { byId, narrow } from "./dom.js";
import { drawOffline, drawTools, switchTheme } from "./header.js";
import * as i18n from "./i18n.js";
import * as keyboard from "./keys.js";
import { follow } from "./live.js";
import { openDesk } from "./plan_desk.js";
import { createList } from "./plan_list.js";
import { TOOLS } from "./plan_tools.js";
import { createSearch } from "./search.js";
import { askPassword } from "./session.js";
import { formatView, parseView } from "./state.js";
import { toast } from "./states.js";
import en from "./texts/plan_en.js";
import zh from "./texts/plan_zh.js";

const page = document.body.dataset;
i18n.extend({ zh, en });
i18n.start(page.timeZone, page.language);
const roles = page.roles.split(",");
const draws = roles.includes("planner") || roles.includes("admin");
const now = { desk: null, live: "polling", offline: false, search: null };
const list = createList({ plans: draws, open: (id) => go(`?id=${id}`) });

const KNOCK_MS = 3000;
const KEYS = [
  ...Object.entries(TOOLS).map(([name, { key }]) => [[key], `plan.tool.${name}`]),
  [["↵"], "plan.key.confirm"], [["Esc"], "key.escape"], [["⌃Z"], "plan.do.undo"], [["⇧⌃Z"], "plan.do.redo"],
  [["j", "k"], "plan.key.rows"], [["c"], "plan.do.compare"], [["←", "→"], "plan.key.swipe"], [["/"], "key.search"],
  [["g", "c"], "nav.command"], [["g", "p"], "nav.plan"], [["?"], "key.help"],
]; // prettier-ignore

/** The address, and what it shows. */
function go(query, { replace = false } = {}) {
  history[replace ? "replaceState" : "pushState"](null, "", `${location.pathname}${query}`);
  show();
}

function show() {
  const params = new URLSearchParams(location.search);
  const id = Number(params.get("id"));
  now.desk?.close();
  now.desk = null;
  for (const key of ["map", "drawn", "revision", "metrics", "check", "impact", "tool"]) delete document.body.dataset[key];
  byId("map").replaceChildren();
  document.body.classList.toggle("at-desk", id > 0);
  if (!id) {
    document.title = `${i18n.t("nav.plan")} · ${page.title}`;
    list.refresh();
    if (params.get("area") && draws) list.begin(params.get("area"));
    return;
  }
  list.stop();
  now.desk = openDesk({
    id,
    grid: params.get("grid"),
    tab: params.get("tab"),
    offline: () => now.offline,
    leave: () => go(""),
    looks: parseView(params),
    onChosen(grid, tab, view) {
      const parts = [`id=${id}`, grid ? `grid=${grid}` : "", tab !== "grids" ? `tab=${tab}` : "", view ? formatView(view) : ""].filter(Boolean);
      history.replaceState(null, "", `${location.pathname}?${parts.join("&")}`);
    },
  });
}

const theme = () => {
  switchTheme();
  now.desk?.theme();
  redraw();
};

function redraw() {
  drawTools(now.live, { keys: () => keyboard.help(KEYS), theme });
  now.search?.label();
  if (now.desk) now.desk.redraw();
  else list.redraw();
}

/** A hit of the search: a grid of the plan is chosen, any other place is shown. */
function found(result) {
  const desk = now.desk;
  if (result.type === "area" && desk?.work.state.areas.has(result.code)) desk.act.select(result.code);
  else if (desk?.view && result.bbox && result.bbox[0] !== result.bbox[2]) desk.view.fit(result.bbox);
  else if (desk?.view && result.centre) desk.view.map.easeTo({ center: result.centre, zoom: 16.5 });
  else if (!desk && result.type === "area" && draws) list.begin(result.code);
}

const dialog = () => document.querySelector("dialog[open]");

function undoKeys(event) {
  if (!(event.ctrlKey || event.metaKey) || event.altKey || event.key.toLowerCase() !== "z") return;
  if (event.target.closest?.("input, textarea, select, dialog") || !now.desk) return;
  event.preventDefault();
  const what = event.shiftKey ? "redo" : "undo";
  if (now.desk.act.may(what) || now.desk.tools?.current() === "reshape") now.desk.act[what]();
}

function keys() {
  const tool = (name) => () => (now.desk?.tools && !dialog() ? now.desk.tools.use(name) : false);
  const tools = Object.fromEntries(Object.entries(TOOLS).map(([name, { key }]) => [key, tool(name)]));
  // A button in focus is pressed by the key itself.
  const confirm = () => (dialog() || document.activeElement?.closest("button, a, [role=slider]") ? false : (now.desk?.tools?.confirm() ?? false));
  const swipe = (by) => () => (now.desk?.swiping() && !document.activeElement?.closest("canvas, [role=slider]") ? now.desk.swiping().shift(by) : false);
  keyboard.listen({
    ...tools,
    "/": () => now.search.focus(),
    "?": () => keyboard.help(KEYS),
    c: () => (now.desk ? now.desk.act.compare() : false),
    j: () => now.desk?.next(1) ?? false,
    k: () => now.desk?.next(-1) ?? false,
    Enter: confirm,
    ArrowLeft: swipe(-0.05),
    ArrowRight: swipe(0.05),
    Escape: () => !dialog() && now.desk?.escape(),
  });
  addEventListener("keydown", undoKeys);
} // prettier-ignore

function session() {
  const again = () => {
    if (!now.desk) list.refresh();
    else if (!now.desk.work.state.plan) show();
    else now.desk.work.look().then(now.desk.work.numbers);
  };
  // What was asked last failed, and nothing else may be asked for long: whether the service is back is asked for.
  const knock = () => now.offline && api.get("/api/me").catch(() => null);
  addEventListener("online", knock);
  let knocking = 0;
  api.on("offline", () => {
    [now.live, now.offline] = ["off", true];
    knocking = setInterval(knock, KNOCK_MS);
    drawOffline(true, api.lastAnswer);
    redraw();
  });
  api.on("online", () => {
    clearInterval(knocking);
    [now.live, now.offline] = ["on", false];
    drawOffline(false);
    redraw();
    again();
  });
  api.on("expired", () => askPassword(page.user, page.displayName, again));
  addEventListener("focus", () => now.desk?.work.look());
  setInterval(() => {
    if (now.offline) drawOffline(true, api.lastAnswer);
    drawTools(now.live, { keys: () => keyboard.help(KEYS), theme });
  }, 30000);
  follow(
    ({ edition }) => {
      if (!edition) return;
      toast("grid", i18n.t("toast.edition", { id: edition }));
      if (now.desk) now.desk.work.look();
      else list.refresh();
    },
    (mode) => {
      if (mode === now.live) return;
      now.live = mode;
      drawTools(mode, { keys: () => keyboard.help(KEYS), theme });
    },
  );
}

now.search = createSearch(found);
i18n.onLanguage(redraw);
narrow.addEventListener("change", redraw);
addEventListener("popstate", show);
redraw();
keys();
session();
show();
