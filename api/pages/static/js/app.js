// The command map: puts the parts together. Each part draws itself from the state and from what was fetched.
import * as api from "./api.js";
import { createActions } from "./actions.js";
import { classify } from "./classes.js";
import { addDays, between } from "./days.js";
import { byId } from "./dom.js";
import { drawDrill, loadDrill } from "./drill.js";
import { filters, loadMapHeat, mapQuery } from "./heat.js";
import { drawOffline, drawTools } from "./header.js";
import * as i18n from "./i18n.js";
import { drawIndicators } from "./indicators.js";
import * as keys from "./keys.js";
import { drawLegend } from "./legend.js";
import { follow } from "./live.js";
import { createMap } from "./map.js";
import { createPicker } from "./pick.js";
import * as places from "./places.js";
import { drawRanking, listMeasure, loadRanking, loadTrends } from "./ranking.js";
import { resource } from "./resource.js";
import { createSearch } from "./search.js";
import { createSheet } from "./sheet.js";
import { announce, toast } from "./states.js";
import { CATEGORIES, createStore } from "./state.js";
import { drawTime, span } from "./time.js";
import { drawTopic } from "./topic.js";
import { drawWall, loadWall, startWall } from "./wall.js";

const page = document.body.dataset;
i18n.start(page.timeZone, page.language);
const lead = between(i18n.localDay(new Date()), page.today);
/** The service's day: what the page was told, moved on with the clock. */
const today = () => addDays(i18n.localDay(new Date()), lead);

const store = createStore(today);
const facts = {
  home: { code: null, name: page.areaName, kind: "county", bbox: null },
  live: "polling",
  editions: null,
  counts: null,
  closed: [],
  measures: ["count", "per_100_households", "change"],
  compares: true,
  trends: null,
  playing: false,
  get today() {
    return today();
  },
  handles: page.roles.split(",").some((role) => ["admin", "dispatcher", "worker"].includes(role)),
  subcategory: (event) =>
    i18n.has(`sub.${event.subcategory}`)
      ? i18n.t(`sub.${event.subcategory}`)
      : (event.subcategory_name ?? i18n.t(`category.${event.category}`)),
};
const view = { map: null, scheme: null, items: new Map(), stamp: null };
const act = createActions({ store, facts, view, today });
view.redraw = redraw;

const heat = resource(
  (signal) =>
    loadMapHeat(mapQuery(store.get(), CATEGORIES, view.map?.map.getZoom() ?? store.get().view?.zoom ?? 12), signal),
  drawHeat,
);
const rates = resource(
  (signal) => {
    const { area, from, to } = store.get();
    return api.get("/api/indicators", { area, from, to }, signal);
  },
  (state) => {
    facts.counts = state.data?.categories ?? null;
    drawIndicators(
      state,
      store.get().wall,
      act.retry(() => rates),
    );
    topic();
  },
);
const ranking = resource(
  (signal) => loadRanking(store.get(), facts, signal),
  (state) => {
    drawList(state);
    if (state.data && !state.pending && !state.error) trendsOf(state.data);
  },
);
const trends = resource(
  (signal) => loadTrends(trends.rows, store.get(), signal),
  (state) => {
    if (state.data) {
      facts.trends = state.data;
      drawList(ranking.state());
    }
  },
);
const days = resource(
  (signal) => {
    const state = store.get();
    return api.get("/api/indicators", { ...filters(state, CATEGORIES), ...span(state, today()), by: "day" }, signal);
  },
  (state) =>
    drawTime(
      store.get(),
      state,
      facts,
      act.time(() => days),
    ),
);
const drill = resource(
  (signal) => loadDrill(store.get(), { ...facts, today: today(), onArea: act.onArea }, signal),
  drawChoice,
);
const wall = resource(
  (signal) => loadWall(store.get(), signal),
  (state) => drawWall(state, view.map),
);

function drawList(state) {
  drawRanking(
    store.get(),
    state,
    facts,
    act.list(() => ranking),
  );
}

function drawChoice(state) {
  if (store.get().wall) return;
  drawDrill(
    store.get(),
    state,
    { ...facts, today: today() },
    act.choice(() => drill),
  );
}

function topic() {
  if (!store.get().wall) drawTopic(store.get(), { ...facts, close: act.closeDrawer }, store.set);
}

function drawHeat(state) {
  if (state.data) {
    view.scheme = classify(state.data);
    view.items = new Map(state.data.items.map((item) => [item.id, item]));
    view.map?.ready.then(() => view.map.painter.paint(state.data.by, state.data, view.scheme));
  }
  drawLegend(
    store.get(),
    state,
    view.scheme,
    view.map?.painter.isolated() ?? null,
    act.legend(() => heat, drawHeat),
  );
  document.body.dataset.heat = state.pending ? "pending" : state.error ? "error" : "ready";
  view.map?.label(
    i18n.t("map.label", { measure: i18n.t(`measure.${store.get().measure}`), unit: i18n.t(`unit.${store.get().by}`) }),
  );
}

function trendsOf(data) {
  const { area, category, to } = store.get();
  const key = JSON.stringify([area, category, to, data.kind, data.rows.length]);
  if (data.kind === "micro" || store.get().wall || key === trends.key) return;
  [trends.key, trends.rows, facts.trends] = [key, data.rows, null];
  setTimeout(() => {
    if (trends.key === key) trends.refresh();
  }, 400);
}

/** Which measures the service answers: change as the list found it, clusters asked once on the largest areas. */
async function probe() {
  const query = { by: "grid", kind: "town", geometry: "false", from: addDays(today(), -29), to: addDays(today(), 1) };
  const hotspot = await api.get("/api/heat", { ...query, measure: "hotspot" }).then(
    (answer) => answer.measure === "hotspot",
    () => false,
  );
  facts.measures = [
    "count",
    "per_100_households",
    ...(facts.compares ? ["change"] : []),
    ...(hotspot ? ["hotspot"] : []),
  ];
  if (!facts.measures.includes(store.get().measure)) store.set({ measure: "per_100_households" });
  act.pills();
  topic();
}

function refreshAll() {
  for (const one of [heat, rates, ranking, days]) one.refresh();
  if (store.get().wall) wall.refresh();
  else if (store.get().grid) drill.refresh();
}

function news({ edition }) {
  refreshAll();
  if (edition) {
    toast("grid", i18n.t("toast.edition", { id: edition }));
    loadEditions();
    loadNames();
  }
  clearTimeout(view.stamp);
  view.stamp = setTimeout(() => {
    const n = facts.counts && Object.values(facts.counts).reduce((a, b) => a + b, 0);
    if (n) announce(i18n.t("announce.updated", { n: i18n.number(n) }));
  }, 1500);
}

async function loadEditions() {
  facts.editions = (await api.get("/api/editions").catch(() => null))?.editions ?? null;
  topic();
}

async function loadNames() {
  await places.loadPlaces().catch(() => null);
  const home = places.place(facts.home.code);
  if (home) Object.assign(facts.home, { name: home.name, kind: home.kind, bbox: facts.home.bbox ?? home.bbox });
  topic();
  drawList(ranking.state());
  drawChoice(drill.state());
}

function wire() {
  const on = store.on;
  on(["area", "category", "measure", "by", "boundaries", "from", "to"], () => heat.refresh());
  on(["area", "from", "to"], () => rates.refresh());
  on(["area", "category", "boundaries", "from", "to", "level", "measure", "by"], (state, changed) => {
    const measureOnly = changed.every((key) => ["measure", "by"].includes(key));
    if (!measureOnly || ranking.state().data?.measure !== listMeasure(state)) ranking.refresh();
  });
  on(["area", "category", "from", "to"], (state, changed) => {
    const shown = JSON.stringify(span(state, today()));
    if (!changed.includes("area") && !changed.includes("category") && shown === days.shown) days.redraw();
    else {
      days.shown = shown;
      days.refresh();
    }
  });
  on(["grid"], (state) => {
    if (!state.wall) act.chosen(state, drill, drawChoice);
  });
  on(["category", "from", "to"], (state) => {
    if (state.grid && !state.wall) drill.refresh();
  });
  on(["sort", "grid"], () => drawList(ranking.state()));
  on(["layers"], (state) => {
    view.map.layers(state.layers);
    drawHeat(heat.state());
  });
  on(["area"], (state) => act.moved(state));
  on(["back"], (state) => {
    if (state.view) view.map.jump(state.view);
  });
  on(["area", "category", "measure", "by", "boundaries", "from", "to"], topic);
  i18n.onLanguage(redraw);
  let width = innerWidth;
  addEventListener("resize", () => {
    if (innerWidth !== width) {
      width = innerWidth;
      days.redraw();
    }
  });
}

function redraw() {
  drawTools(facts.live, act.tools);
  view.search?.label();
  view.sheet?.label();
  act.pills();
  for (const one of [heat, rates, ranking, days, drill]) one.redraw();
  if (store.get().wall) wall.redraw();
}

function openMap(area) {
  const state = store.get();
  view.map = createMap(
    { view: state.view, bbox: area?.bbox ?? facts.home.bbox, basemap: page.basemap, wall: state.wall },
    (seen) => {
      store.set({ view: seen });
      act.resolution(seen.zoom, heat);
    },
  );
  view.map.ready.then(() => {
    view.map.layers(store.get().layers);
    document.body.dataset.map = "ready";
    if (heat.state().data) drawHeat(heat.state());
    act.resolution(view.map.map.getZoom(), heat);
  });
  if (!state.wall)
    createPicker(
      view.map,
      () => (heat.state().data ? { heat: heat.state().data, scheme: view.scheme, items: view.items } : null),
      act.pick,
    );
}

function session() {
  api.on("offline", () => {
    facts.live = "off";
    drawOffline(true, api.lastAnswer);
    drawTools(facts.live, act.tools);
  });
  api.on("online", () => {
    drawOffline(false);
    refreshAll();
  });
  api.on("expired", () => act.expired(refreshAll));
  setInterval(() => {
    if (!byId("offline").hidden) drawOffline(true, api.lastAnswer);
    drawTools(facts.live, act.tools);
  }, 30000);
  follow(news, (mode) => {
    if (mode !== facts.live) {
      facts.live = mode;
      drawTools(mode, act.tools);
    }
  });
}

async function start() {
  redraw();
  view.search = createSearch(act.open);
  const me = await api.get("/api/me").catch((error) => {
    act.failed(error);
    return null;
  });
  if (!me) return;
  Object.assign(facts.home, { code: me.home, bbox: me.bbox, name: me.home_name ?? facts.home.name });
  facts.closed = me.closed;
  topic();
  const area = store.get().area ? await places.loadArea(store.get().area).catch(() => null) : null;
  wire();
  days.shown = JSON.stringify(span(store.get(), today()));
  for (const one of [heat, rates, ranking, days]) one.refresh();
  view.sheet = createSheet(act.settled);
  view.sheet.label();
  openMap(area);
  loadNames();
  loadEditions();
  if (store.get().wall) {
    startWall(store, () => ({ live: facts.live, edition: facts.editions?.[0]?.id }));
    wall.refresh();
  } else act.chosen(store.get(), drill, drawChoice);
  keys.listen(act.keys(view));
  session();
  setTimeout(probe, 2500);
}

start();
