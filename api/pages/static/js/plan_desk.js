// One plan on the desk: its map, tools, panels and bar, put together.
import * as api from "./api.js";
import { byId, draw, h, narrow } from "./dom.js";
import { getLanguage, number, shortMoment, t } from "./i18n.js";
import { createComments } from "./plan_comments.js";
import { breachOf } from "./plan_band.js";
import { drawBar } from "./plan_bar.js";
import { movedOf } from "./plan_buildings.js";
import { drawImpact } from "./plan_impact.js";
import { createPlanMap } from "./plan_map.js";
import { finest, opName, short, toldWords } from "./plan_names.js";
import { drawNotices } from "./plan_notices.js";
import { drawFindings, drawJournal } from "./plan_panels.js";
import { createNoticeClock, createPublishBox } from "./plan_publish.js";
import { boundsOf } from "./plan_shape.js";
import { createSide, isTab } from "./plan_side.js";
import { openSwipe } from "./plan_swipe.js";
import { chooseRow, drawTable } from "./plan_table.js";
import { createTools, TOOLS } from "./plan_tools.js";
import { createWork } from "./plan_work.js";
import { withZone } from "./plan_words.js";
import { announce, failed, toast } from "./states.js";

const page = document.body.dataset;
const CHANGED = ["changed", "new"];
const roles = page.roles.split(",");
const seesHouseholds = () => roles.includes("planner") || roles.includes("admin");

/** Opens a plan. `context`: id, home (bbox), offline(), leave(), chosen (code of the address), onChosen(code, tab). */
export function openDesk(context) {
  const parts = { view: null, tools: null, swipe: null, legend: null, comments: createComments() };
  const errors = {};
  let [tab, chosen, kind, closed] = ["grids", context.grid ?? null, "micro", false];
  const work = createWork(hear);
  const { state } = work;

  const act = {
    get offline() { return context.offline(); },
    zone: page.timeZone,
    approves: roles.includes("approver") || roles.includes("admin"),
    may: work.may,
    back: context.leave,
    undo: () => step("undo"),
    redo: () => step("redo"),
    rebase: () => step("rebase"),
    step,
    compare: () => (parts.swipe ? closeSwipe() : compare()),
    dismiss: work.dismiss,
    along: ({ op, ...body }) => once(op, () => edit(op, { ...body, along: true })),
    again({ body, again }) {
      work.dismiss();
      return once(body.op, again);
    },
    flash: (where) => parts.shown && parts.view.flash(where),
    select: (code) => select(code, { move: true }),
    retry: work.numbers,
    redraw: panel,
    locate,
    publish: (when) => step("publish", when ? { effective_from: withZone(when, page.timeZone) } : {}),
  }; // prettier-ignore

  const side = createSide(show);
  const publishBox = createPublishBox(act);
  const clock = createNoticeClock(() => {
    bar();
    if (tab === "impact") publishBox(state.plan);
    work.look().then(() => closed || clock.set(state.plan));
  });

  async function step(what, body) {
    if (what === "undo" && parts.tools?.back()) return true;
    const done = await work.call(what, body);
    if (done && what !== "undo" && what !== "redo") toast("check", t(`plan.done.${what}`, { n: state.plan.edition ?? state.plan.base }));
    return done;
  }

  function hear(what, now, detail) {
    if (closed) return;
    if (what === "plan") changed(detail);
    else if (what === "numbers") counted(detail);
    else if (what === "failed") {
      errors[detail.name] = detail.error;
      panel();
    } else if (what === "problem") {
      notices();
      const at = now.problem?.error.findings?.find((one) => one.where);
      if (at && now.problem.error.status === 422 && parts.shown) parts.view.mark(at.where);
    } else if (what === "done") found(detail);
    else if (what === "others") toast("info", t("plan.others", { who: detail?.by ?? "", what: opName(detail?.op ?? "") }));
    else if (what === "busy") bar();
  }

  /**
   * The address carries what is chosen and where the map looks. It is written once a frame is done: the browser lays the
   * page out to keep how far everything is scrolled.
   */
  const write = () => {
    clearTimeout(parts.telling);
    parts.telling = 0;
    if (!closed) context.onChosen(chosen, tab, parts.seen ?? context.looks);
  };
  const told = () => {
    parts.telling ||= setTimeout(write, 40);
  };
  const bar = () => state.plan && drawBar(state, act);
  const notices = () => state.plan && drawNotices(state, act);
  const rail = () => byId("plan-panel");

  function changed(detail) {
    kind = finest(state.areas);
    if (chosen && !state.areas.has(chosen)) chosen = null;
    if (parts.shown) {
      parts.view.change(state.areas, detail);
      outlines();
    }
    bar();
    notices();
    parts.tools?.refresh();
    parts.said?.remove();
    if (!side.has(tab, state)) tab = "grids";
    if (tab === "edits" || tab === "impact") panel();
    tabs();
    renewSwipe();
    clock.set(state.plan);
    document.body.dataset.revision = String(state.plan.revision);
  }

  function counted(name) {
    delete errors[name];
    if (name === "metrics" && parts.shown) {
      parts.view.count(marks());
      parts.swipe?.count(baseMarks());
      outlines();
    }
    if (name === "check") bar();
    tabs();
    if (name === "check" || (name === "metrics" && parts.unnumbered && state.check)) below();
    if ((name === "metrics" && tab === "grids") || (name === "check" && !["edits", "grids"].includes(tab)) || (name === "impact" && tab === "impact")) beside();
    const { total } = state.metrics ?? {};
    if (name === "metrics" && total) announce(t("plan.announce", { n: number(total.grids), m: number(total.in_range) }));
    document.body.dataset[name] = String(state[name].revision ?? state.plan.revision);
  } // prettier-ignore

  /** Of every grid whether its households are in range, and the number on its label. */
  const marks = () =>
    new Map(state.metrics.grids.map((one) => [one.code, { mark: one.breach ?? (one.range ? "ok" : "none"), n: one.households || one.range ? number(one.households) : "" }]));

  /** Borders of the base where they are others now, and the chosen grid. */
  function outlines() {
    const redrawn = [...state.base.values()].filter((one) => {
      const now = state.areas.get(one.properties.code);
      return [kind, "dedicated"].includes(one.properties.kind) && (!now || CHANGED.includes(now.properties.fate));
    });
    parts.view.basedOn(state.plan.base);
    parts.view.base(redrawn.map((one) => one.geometry));
    parts.view.chosen(state.areas.get(chosen)?.geometry ?? null);
    parts.view.movedBuildings(movedOf(redrawn, state, kind, parts.view.buildings));
  }

  const tabs = () => side.tabs(state, tab);

  function show(name) {
    tab = name;
    if (name === "impact") work.wantImpact();
    tabs();
    panel();
    told();
  }

  function panel() {
    beside();
    below();
  }

  /** Findings under the list of grids. */
  function below() {
    const low = byId("plan-below");
    const had = !low.hidden;
    low.hidden = tab !== "grids" || narrow.matches || !state.check?.findings.length;
    parts.unnumbered = !state.metrics;
    if (!low.hidden) drawFindings(low, state, { act, error: errors.check });
    // The findings take their room from the list.
    if (!low.hidden && !had) chooseRow(rail(), chosen, { scroll: true });
  }

  /** What the chosen tab shows. */
  function beside() {
    const box = side.pane(tab);
    if (tab === "grids") drawTable(box, state, { kind, chosen, act, error: errors.metrics });
    else if (tab === "check") drawFindings(box, state, { act, error: errors.check });
    else if (tab === "edits") drawJournal(box, state);
    else if (tab === "comments") parts.comments.show(box, state.plan, act.may("comment"));
    else drawImpact(box, state, { act, error: errors.impact, publish: publishBox(state.plan) });
  }

  function select(code, { move = false } = {}) {
    chosen = code;
    chooseRow(rail(), code, { scroll: !move && tab === "grids" });
    const one = state.areas.get(code);
    if (parts.shown) parts.view.chosen(one?.geometry ?? null);
    if (one && move && parts.shown) parts.view.fit(boundsOf(one.geometry), { maxZoom: Math.max(parts.view.map.getZoom(), 16) });
    told();
  }

  function locate(found) {
    const code = found.area && state.areas.has(found.area) ? found.area : null;
    if (code) select(code);
    const one = state.areas.get(code);
    const where = found.where ?? (one ? boundsOf(one.geometry).reduce((sum, value, i) => { sum[i % 2] += value / 2; return sum; }, [0, 0]) : null); // prettier-ignore
    if (where) act.flash(where);
  }

  /** The same of the grids as the base has them. */
  function baseMarks() {
    const grids = state.metrics?.grids ?? [];
    const known = new Map(grids.map((one) => [one.code, one]));
    return new Map([...state.base.values()].map(({ properties: { code, kind: its, households } }) => {
      const n = known.get(code)?.households_before ?? households ?? 0;
      const range = known.get(code)?.range ?? grids.find((each) => each.kind === its)?.range;
      return [code, { mark: range ? (breachOf(n, range) ?? "ok") : "none", n: n || range ? number(n) : "" }];
    }));
  } // prettier-ignore

  async function compare() {
    if (!parts.shown || parts.swipe) return;
    parts.tools?.use("select");
    const of = state.plan.base;
    const opened = shownBy();
    const editions = await api.get("/api/editions").catch(() => null);
    if (closed || parts.swipe) return;
    const edition = editions?.editions.find((one) => one.id === of);
    const since = edition?.in_force_from ?? edition?.from ?? null;
    const changed = [...state.base.values()].map((one) => one.properties.code).filter((code) => !state.areas.has(code) || CHANGED.includes(state.areas.get(code).properties.fate));
    parts.swipe = openSwipe({
      opened,
      view: parts.view, options: options(), base: state.base, kind, outline: context.outline.geometry, marks: baseMarks(), changed,
      words: { before: [t("plan.edition", { n: of }), since ? t("plan.since", { time: shortMoment(since) }) : ""].filter(Boolean).join(" "), after: t("plan.this") },
    });
    document.body.classList.add("comparing");
  } // prettier-ignore

  /** What the comparison was opened with: the edition left of the line, and the language of its words. */
  const shownBy = () => `${state.plan.base} ${getLanguage()}`;
  function renewSwipe() {
    if (!parts.swipe || parts.swipe.opened === shownBy()) return;
    closeSwipe();
    compare();
  }

  function closeSwipe() {
    parts.swipe?.close();
    parts.swipe = null;
    document.body.classList.remove("comparing");
  }

  /** An edit; what came of it that nobody asked for is said, until the plan is another one. Pressed twice it is one edit. */
  async function edit(op, body) {
    if (parts.sending) return false;
    parts.sending = true;
    const done = await work.edit(op, body).finally(() => (parts.sending = false));
    const words = done ? toldWords(state.plan.journal.find((one) => one.number === state.plan.head)?.told) : [];
    if (words.length) parts.said = toast("info", words.join(" · "), { lasting: true });
    return done;
  }

  /** Something done by a notice: what its tool still holds of it is laid down. */
  async function once(op, act_) {
    if (await act_()) parts.tools?.drop(op);
  }

  /** What nobody answered turned out to be done. */
  function found({ what, body }) {
    toast("check", t("plan.found_done", { what: opName(body.op ?? what) }), { lasting: true });
    if (body.op) parts.tools?.drop(body.op);
  }

  /** A tool is taken up: what was refused before is said no more, and nobody draws across the line of the comparison. */
  function begins(name) {
    if (state.problem?.error.status === 422) work.dismiss();
    if (TOOLS[name].edits) closeSwipe();
  }

  const escape = () => {
    if (!state.problem) return parts.tools?.cancel() || (parts.swipe ? (closeSwipe(), true) : false) || (chosen ? (select(null), true) : false);
    work.dismiss();
    return true;
  };

  const options = () => ({ bbox: context.outline.bbox, basemap: page.basemap, scope: state.plan.scope });

  function openMap() {
    const view = (parts.view = createPlanMap({ ...options(), view: context.looks }));
    parts.ready = view.ready.then(() => {
      if (closed) return;
      view.scope(context.outline.geometry);
      view.show(state.areas, kind);
      parts.shown = true;
      if (state.metrics) view.count(marks());
      parts.tools = createTools({ work, view, kind: () => kind, selected: () => chosen, select: (code) => select(code), edit, seesHouseholds, begins, escape });
      outlines();
      view.label(t("plan.map", { name: state.plan.name }));
      view.map.on("idle", () => {
        if (!parts.drawn) outlines();
        parts.drawn = true;
        if (parts.telling) write();
        document.body.dataset.drawn = "yes";
      });
      const came = () => {
        const { lng, lat } = view.map.getCenter();
        delete document.body.dataset.drawn;
        [parts.drawn, parts.seen] = [false, { lat, lon: lng, zoom: view.map.getZoom() }];
        told();
      };
      view.map.on("moveend", came);
      came();
      document.body.dataset.map = "ready";
      if (act.approves && ["submitted", "approved"].includes(state.plan.state)) compare();
    }); // prettier-ignore
  }

  async function start() {
    try {
      await work.load(context.id);
      const feature = await api.get(`/api/areas/${encodeURIComponent(state.plan.scope)}`, { edition: state.plan.base });
      context.outline = { geometry: feature.geometry, bbox: feature.properties.bbox ?? boundsOf(feature.geometry) };
    } catch (error) {
      if (!("status" in error)) throw error;
      byId("map").replaceChildren(h("div", { class: "map-failed" }, failed("plan.what.plan", error, () => location.reload())));
      return;
    }
    if (closed) return;
    const decides = act.approves && ["submitted", "approved"].includes(state.plan.state);
    tab = isTab(context.tab) ? context.tab : decides ? "impact" : "grids";
    if (tab === "impact") work.wantImpact();
    // The bar first: it takes its room from the map.
    redraw();
    openMap();
  }

  function legend() {
    const entry = (name) => h("li", {}, h("i", { class: `swatch ${name}` }), t(`plan.legend.${name}`));
    draw(byId("plan-legend"), ["ok", "moved", "over", ...(seesHouseholds() ? ["added", "public"] : []), "under", "base", "redrawn"].map(entry));
  }

  function mapButtons() {
    const button = (name, press) => h("button", { type: "button", "aria-label": t(`zoom.${name}`), title: t(`zoom.${name}`), "data-key": `zoom-${name}`, onclick: press }, h("span", { class: `zoom-${name}` }));
    draw(byId("map-tools"), button("in", () => parts.view.zoom(1)), button("out", () => parts.view.zoom(-1)), button("home", () => parts.view.fit(context.outline.bbox)));
  } // prettier-ignore

  function redraw() {
    if (!state.plan) return;
    bar();
    tabs();
    panel();
    notices();
    legend();
    mapButtons();
    renewSwipe();
    parts.tools?.redraw();
  }

  /** Steps through the rows. */
  function next(by) {
    const codes = tab === "grids" ? [...rail().querySelectorAll("tr[data-code]")].map((one) => one.dataset.code) : [];
    if (!codes.length) return false;
    const at = codes.indexOf(chosen);
    select(codes[Math.min(codes.length - 1, Math.max(0, at < 0 ? 0 : at + by))], { move: true });
    chooseRow(rail(), chosen, { scroll: true });
    return true;
  }

  start();
  return {
    work,
    act,
    redraw,
    next,
    get tools() { return parts.tools; },
    get view() { return parts.view; },
    swiping: () => parts.swipe,
    select,
    escape,
    theme() {
      parts.view?.theme();
      parts.swipe?.theme();
    },
    short: (code) => short(code, state.plan.scope),
    close() {
      closed = true;
      clearTimeout(parts.telling);
      clock.stop();
      work.close();
      closeSwipe();
      parts.view?.map.remove();
    },
  }; // prettier-ignore
}
