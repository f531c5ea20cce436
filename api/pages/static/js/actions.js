// What a viewer can do: each action changes the state or moves the map; the parts then draw themselves.
import { addDays, between, preset, PRESETS } from "./days.js";
import { byId, h, narrow } from "./dom.js";
import { switchTheme } from "./header.js";
import { hexResolution } from "./heat.js";
import { t } from "./i18n.js";
import * as keyboard from "./keys.js";
import { place } from "./places.js";
import { resetRanking } from "./ranking.js";
import { askPassword } from "./session.js";
import { drawer, height, setHeight } from "./sheet.js";
import { failed } from "./states.js";
import { shifted } from "./time.js";
import { measureChoice } from "./topic.js";

function mapButtons(view, home) {
  const button = (name, act) =>
    h(
      "button",
      { type: "button", "aria-label": t(`zoom.${name}`), title: t(`zoom.${name}`), onclick: act },
      h("span", { class: `zoom-${name}` }),
    );
  byId("map-tools").replaceChildren(
    button("in", () => view.map.zoom(1)),
    button("out", () => view.map.zoom(-1)),
    button("home", home),
  );
}

/** Selecting, going down and up, and where the map goes with it. */
function choosing({ store, facts, view }) {
  let fitNext = narrow.matches && !store.get().view;
  const select = (code, { move = false } = {}) => {
    fitNext = move || narrow.matches;
    if (store.get().grid === code) {
      if (move) refit();
      return;
    }
    store.set({ grid: code });
    if (narrow.matches && height() === "peek") setHeight("half");
  };
  const refit = () => {
    const box = place(store.get().grid)?.bbox;
    if (box) view.map.fit(box);
  };
  const descend = (inside) => {
    const path = inside.filter(Boolean).sort((a, b) => a.path.length - b.path.length);
    const depth = place(store.get().area ?? facts.home.code)?.path.length ?? 0;
    const next = path.find((one) => one.path.length > depth) ?? path.at(-1);
    if (next && next.code !== store.get().area) store.set({ area: next.code, grid: null, level: null });
  };
  const onArea = (area) => {
    view.map?.ready.then(() => view.map.chosen(area.geometry));
    if (fitNext && area.bbox) {
      fitNext = false;
      view.map.fit(area.bbox);
    }
  };
  const moved = (state) => {
    resetRanking();
    const box = state.area ? place(state.area)?.bbox : facts.home.bbox;
    if (box) view.map.fit(box);
  };
  const chosen = (state, drill, draw) => {
    if (state.grid) drill.refresh({ fresh: true });
    else {
      drill.stop();
      view.map?.ready.then(() => view.map.chosen(null));
    }
    draw(drill.state());
  };
  return { select, descend, onArea, moved, chosen };
}

function open({ store, view }, select) {
  return (result) => {
    if (result.type === "area") select(result.code, { move: true });
    else if (result.bbox && result.bbox[0] !== result.bbox[2]) view.map.fit(result.bbox);
    else if (result.centre) view.map.centre(result.centre, 16.5);
    if (result.type === "event" && result.code) store.set({ grid: result.code });
  };
}

/** The period: presets, drags, playing. */
function periods({ store, facts, today }) {
  let timer = null;
  const stop = () => {
    clearInterval(timer);
    timer = null;
    facts.playing = false;
  };
  const step = () => {
    const state = store.get();
    const by = between(state.from, state.to) >= 30 ? 7 : 1;
    const to = addDays(state.to, by);
    if (to > addDays(today(), 1)) {
      stop();
      store.set({ to: state.to, from: state.from });
      return;
    }
    store.set({ from: addDays(state.from, by), to });
  };
  const play = (redraw) => {
    if (timer) {
      stop();
      redraw();
      return;
    }
    facts.playing = true;
    const state = store.get();
    const length = between(state.from, state.to);
    if (addDays(state.to, 1) > addDays(today(), 1)) {
      const from = addDays(today(), 1 - Math.max(365, length));
      store.set({ from, to: addDays(from, length) });
    }
    timer = setInterval(() => {
      step();
      if (!timer) redraw();
    }, 1000);
    redraw();
  };
  return {
    shift: (direction) => {
      stop();
      const next = shifted(store.get(), direction, today());
      if (next) store.set(next);
    },
    time: (days) => ({
      set: (period) => {
        stop();
        store.set(period);
      },
      preview: (from, to) => store.set({ from, to }),
      play: () => play(days().redraw),
      retry: () => days().refresh(),
    }),
  };
}

/** Measure and period as two selects: on the phone they stand in for topic and time. */
function pills({ store, facts, today }) {
  const select = (name, options, chosen, change) =>
    h(
      "select",
      { class: "pill only-narrow", "aria-label": name, onchange: (event) => change(event.target.value) },
      options.map(([value, text]) => h("option", { value, selected: value === chosen }, text)),
    );
  return () => {
    const state = store.get();
    const presets = PRESETS.map((name) => [name, t(`time.${name}`)]);
    if (!state.preset) presets.unshift(["", `${state.from.slice(5)} – ${addDays(state.to, -1).slice(5)}`]);
    facts.pills = state.wall
      ? null
      : [
          select(
            t("topic.measure"),
            facts.measures.map((name) => [name, t(`measure.${name}`)]),
            state.measure,
            (value) => store.set(measureChoice(state, value)),
          ),
          select(t("time.presets"), presets, state.preset ?? "", (value) => value && store.set(preset(value, today()))),
        ];
  };
}

function escape(store) {
  if (document.querySelector("dialog[open]")) return;
  const menu = document.querySelector("details.account[open]");
  if (menu) menu.open = false;
  else if (document.body.classList.contains("drawer")) drawer(false);
  else store.set({ grid: null });
}

/** What the panels can ask for; `which()` gives the resource behind a panel. */
function panels({ store, view, today }, chooser) {
  const retry = (which) => () => which().refresh();
  return {
    retry,
    list: (which) => ({
      select: (code) => chooser.select(code, { move: true }),
      descend: chooser.descend,
      set: store.set,
      retry: retry(which),
    }),
    choice: (which) => ({
      close: () => store.set({ grid: null }),
      retry: retry(which),
      descend: chooser.descend,
      widen: { label: t("drill.widen"), act: () => store.set(preset("90", today())) },
    }),
    legend: (which, draw) => ({
      set: store.set,
      retry: retry(which),
      highlight: (k) => view.map?.painter.highlight(k),
      isolate: (k) => {
        view.map.painter.isolate(k);
        draw(which().state());
      },
    }),
  };
}

/** What the map and the sheet ask for when they came to rest. */
function resting({ store, view }) {
  let resolution = null;
  return {
    resolution(zoom, heat) {
      const next = hexResolution(zoom);
      const other = next !== resolution;
      resolution = next;
      if (other && store.get().by === "hex") heat.refresh();
    },
    settled() {
      const box = narrow.matches && height() !== "full" ? place(store.get().grid)?.bbox : null;
      if (box) view.map.fit(box);
    },
  };
}

/** All actions, bound to the store and the map. */
export function createActions(context) {
  const { store, facts, view } = context;
  const chooser = choosing(context);
  const period = periods(context);
  const drawPills = pills(context);
  drawPills();
  store.on(["measure", "from", "to", "by"], drawPills);
  const home = () => (store.get().area ? store.set({ area: null }) : view.map.fit(facts.home.bbox));
  const theme = () => {
    switchTheme();
    view.map.theme();
    view.redraw();
  };
  const complaint = (error) => failed("what.areas", error, () => location.reload());
  return {
    ...chooser,
    ...panels(context, chooser),
    ...resting(context),
    expired: (again) => askPassword(document.body.dataset.user, document.body.dataset.displayName, again),
    tools: { keys: keyboard.help, theme },
    open: open(context, chooser.select),
    pick: { select: (code) => chooser.select(code), descend: chooser.descend },
    pills() {
      drawPills();
      mapButtons(view, home);
    },
    time: period.time,
    closeDrawer: () => drawer(false),
    failed: (error) => byId("map").append(h("div", { class: "map-failed" }, complaint(error))),
    keys: (parts) => ({
      "/": () => parts.search.focus(),
      "[": () => period.shift(-1),
      "]": () => period.shift(1),
      "?": keyboard.help,
      Escape: () => escape(store),
    }),
  };
}
