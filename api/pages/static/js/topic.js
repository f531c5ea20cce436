// 专题: what is counted, how, in which unit and by which boundaries.
import { byId, categoryIcon, draw, h, icon } from "./dom.js";
import { localDay, number, short, t } from "./i18n.js";
import { CATEGORIES, UNITS } from "./state.js";
import { place } from "./places.js";

function segments(label, options, chosen, choose, name) {
  return h(
    "div",
    { class: "segments", role: "group", "aria-label": label },
    options.map(([value, text]) =>
      h(
        "button",
        {
          type: "button",
          "aria-pressed": String(value === chosen),
          "data-key": `${name}-${value}`,
          onclick: () => choose(value),
        },
        text,
      ),
    ),
  );
}

function categories(state, { counts, closed }, set) {
  const toggle = (name) => {
    const on = state.category.includes(name);
    const next = CATEGORIES.filter((one) => (one === name ? !on : state.category.includes(one)));
    set({ category: next.length ? next : CATEGORIES });
  };
  const only = (name) =>
    set({ category: state.category.length === 1 && state.category[0] === name ? CATEGORIES : [name] });
  return h(
    "div",
    { class: "categories", role: "group", "aria-label": t("topic.category") },
    CATEGORIES.map((name) =>
      h(
        "button",
        {
          type: "button",
          "aria-pressed": String(state.category.includes(name)),
          "data-key": `category-${name}`,
          disabled: closed.includes(name),
          title: closed.includes(name) ? t("topic.closed") : null,
          onclick: () => toggle(name),
          ondblclick: () => only(name),
        },
        categoryIcon(name),
        h("span", { class: "grow" }, t(`category.${name}`)),
        closed.includes(name) ? icon("lock") : h("span", { class: "mid" }, counts ? short(counts[name] ?? 0) : ""),
      ),
    ),
  );
}

function editionLine(state, editions) {
  if (!editions?.length) return "";
  const force = (edition) => (edition.in_force_from ? new Date(edition.in_force_from) : null);
  const now = new Date();
  const current = editions.find((one) => !force(one) || force(one) <= now) ?? editions.at(-1);
  const from = force(current);
  const date =
    !from || Number.isNaN(+from) ? t("topic.edition_ever") : t("topic.edition_from", { date: localDay(from) });
  const changed = editions
    .filter((one) => {
      const at = force(one);
      return at && !one.pending && !Number.isNaN(+at) && localDay(at) >= state.from && localDay(at) < state.to;
    })
    .reduce((sum, one) => sum + (one.areas_changed ?? 0), 0);
  const line = t("topic.edition", { which: t("topic.today"), id: current.id, date, n: number(changed) });
  return state.boundaries === "then" ? `${t("topic.then_note")} · ${line}` : line;
}

/** The way from what the account may see down to the current area; each step goes there. */
function crumbs(state, home, set) {
  const codes = state.area ? (place(state.area)?.path ?? [state.area]) : [home.code];
  const from = Math.max(codes.indexOf(home.code), 0);
  const steps = codes
    .slice(from)
    .map((code) => ({ code, name: place(code)?.name ?? (code === home.code ? home.name : code) }));
  return h(
    "nav",
    { class: "crumbs", "aria-label": t("topic.title") },
    steps.map(({ code, name }, i) => [
      i ? h("span", { class: "dim", "aria-hidden": "true" }, "›") : null,
      i === steps.length - 1
        ? h(
            "span",
            { class: "mid", "aria-current": "location" },
            steps.length === 1 ? `${name} · ${t("everywhere")}` : name,
          )
        : h(
            "button",
            {
              type: "button",
              class: "link",
              "data-key": `crumb-${code}`,
              onclick: () => set({ area: code === home.code ? null : code, grid: null }),
            },
            name,
          ),
    ]),
  );
}

function group(label, note, ...nodes) {
  const aside = note ? h("span", { class: "dim" }, note) : null;
  return h("div", { class: "group" }, h("div", { class: "group-head mid" }, h("span", {}, label), aside), nodes);
}

/** Clusters and changes belong to areas: choosing one leaves the hexagons. */
export const measureChoice = (state, measure) => ({
  measure,
  ...(state.by === "hex" && measure !== "count" ? { by: "micro" } : {}),
});

function head(state, facts, set) {
  const close = { type: "button", class: "round only-narrow", "aria-label": t("close"), "data-key": "topic-close" };
  const button = h("button", { ...close, onclick: facts.close }, icon("close"));
  return h("header", { class: "head" }, h("h2", {}, t("topic.title")), crumbs(state, facts.home, set), button);
}

/** Draws the panel. `facts`: counts by category or null, categories closed to me, editions or null, measures that the service answers, home. */
export function drawTopic(state, facts, set) {
  const named = (names, kind) => names.map((name) => [name, t(`${kind}.${name}`)]);
  const choice = (kind, options, chosen, choose, ...nodes) => {
    const label = t(`topic.${kind}`);
    return group(label, null, segments(label, options, chosen, choose, kind), nodes);
  };
  const measure = state.by === "hex" ? "count" : state.measure;
  const boundaries = ["then", "today"].map((name) => [name, t(`topic.${name}`)]);
  draw(
    byId("topic"),
    head(state, facts, set),
    group(t("topic.category"), t("topic.many"), categories(state, facts, set)),
    choice("measure", named(facts.measures, "measure"), measure, (value) => set(measureChoice(state, value))),
    choice("unit", named(UNITS, "unit"), state.by, (value) => set({ by: value })),
    choice(
      "boundaries",
      boundaries,
      state.boundaries,
      (value) => set({ boundaries: value }),
      h("p", { class: "note" }, editionLine(state, facts.editions)),
    ),
  );
}
