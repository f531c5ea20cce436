// The wall screen: no controls, larger text, what happens now down to the village, measures in turn.
import { get, lastAnswer } from "./api.js";
import { byWeek, sparkline } from "./charts.js";
import { between } from "./days.js";
import { byId, calm, categoryIcon, draw, h } from "./dom.js";
import { filters } from "./heat.js";
import { clock, listed, localDay, number, signed, t, weekday } from "./i18n.js";
import { place } from "./places.js";
import { CATEGORIES } from "./state.js";
import { statusTag } from "./drill.js";

const TURNS = [
  { by: "hex", measure: "count" },
  { by: "micro", measure: "per_100_households" },
  { by: "micro", measure: "count" },
  { by: "village", measure: "per_100_households" },
];
const WORK = { unassigned: ["unassigned"], open: ["assigned", "accepted", "transferred", "escalated", "suspended"] };
const seen = new Set();
let pulses = [];

const sum = (days) => days.reduce((total, one) => total + (one.count ?? 0), 0);

function categories(state, signal) {
  return Promise.all(
    state.category.map(async (category) => {
      const answer = await get("/api/indicators", { ...filters(state, CATEGORIES), category, by: "day" }, signal);
      return {
        category,
        days: answer.days ?? [],
        count: sum(answer.days ?? []),
        before: sum(answer.year_before ?? []),
      };
    }),
  );
}

/** Loads what only the wall shows. */
export async function loadWall(state, signal) {
  const [rows, counts, latest] = await Promise.all([
    categories(state, signal),
    get("/api/events/counts", { area: state.area }, signal).catch(() => null),
    get("/api/events", { area: state.area, category: state.category.join(","), limit: 8 }, signal),
  ]);
  return { rows, counts: counts?.counts ?? counts, events: latest.features.map((one) => one.properties) };
}

function changeOf(row) {
  if (!row.before) return h("span", { class: "dim" }, "–");
  const { mark, text } = signed(((row.count - row.before) / row.before) * 100, (n) => number(Math.round(n)));
  return h("span", { class: "mid" }, mark ? `${mark}${text}%` : t("wall.level"));
}

function left(data) {
  const { rows, counts } = data;
  const total = (names) => names.reduce((n, name) => n + (counts[name] ?? 0), 0);
  const work = counts
    ? [
        ["unassigned", total(WORK.unassigned), "warn"],
        ["open", total(WORK.open), ""],
        ["overdue", counts.overdue ?? null, "bad"],
      ].filter(([, n]) => n != null)
    : [];
  draw(
    byId("topic"),
    h(
      "header",
      { class: "head" },
      h("h2", {}, t("wall.categories")),
      h("span", { class: "mid small" }, t("wall.categories_note")),
    ),
    h(
      "ul",
      { class: "wall-rows" },
      rows.map((row) =>
        h(
          "li",
          {},
          categoryIcon(row.category),
          h("span", { class: "grow" }, t(`category.${row.category}`)),
          sparkline(byWeek(row.days), { width: 78, height: 30, colour: `var(--${row.category})` }),
          h("span", { class: "wall-figure" }, h("b", {}, number(row.count)), changeOf(row)),
        ),
      ),
    ),
  );
  const box = byId("work") ?? h("section", { class: "card", id: "work" });
  byId("topic").after(box);
  draw(
    box,
    h("header", { class: "head" }, h("h2", {}, t("wall.work")), h("span", { class: "mid small" }, t("wall.now"))),
    h(
      "dl",
      { class: "work" },
      work.map(([name, n, tone]) =>
        h("div", {}, h("dd", { class: tone }, number(n)), h("dt", { class: "mid" }, t(`status.${name}`))),
      ),
    ),
  );
}

const villageOf = (event) =>
  (event.areas ?? []).find((one) => one.kind === "village") ??
  (event.areas ?? []).find((one) => one.kind === "town") ??
  null;

function feed(data) {
  const box = byId("drill");
  box.hidden = false;
  draw(
    box,
    h("header", { class: "head" }, h("h2", {}, t("wall.feed")), h("span", { class: "mid small" }, t("wall.feed_note"))),
    h(
      "ul",
      { class: "wall-rows feed" },
      data.events
        .slice(0, 5)
        .map((event) =>
          h(
            "li",
            {},
            categoryIcon(event.category),
            h(
              "span",
              { class: "grow" },
              h("span", { class: "line" }, villageOf(event)?.name ?? "–"),
              h(
                "span",
                { class: "mid small" },
                `${t(`category.${event.category}`)}${event.occurred_at?.length > 10 ? ` · ${clock(new Date(event.occurred_at))}` : ""}`,
              ),
            ),
            statusTag(event.status),
          ),
        ),
    ),
  );
}

function pulse(events, map) {
  const first = seen.size === 0;
  const fresh = events.filter((event) => !seen.has(event.id));
  fresh.forEach((event) => seen.add(event.id));
  if (first || calm.matches) return;
  const now = Date.now();
  pulses.push(
    ...fresh.map((event) => ({ centre: place(villageOf(event)?.code)?.centre, at: now })).filter((one) => one.centre),
  );
  if (pulses.length) beat(map);
}

function beat(map) {
  const now = Date.now();
  pulses = pulses.filter((one) => now - one.at < 12000);
  map.pulses({
    type: "FeatureCollection",
    features: pulses.flatMap((one) => {
      const phase = ((now - one.at) % 2000) / 2000;
      const point = (r, o) => ({
        type: "Feature",
        geometry: { type: "Point", coordinates: one.centre },
        properties: { r, o },
      });
      return [point(8 + 26 * phase, 0.45 * (1 - phase)), point(7, 1)];
    }),
  });
  if (pulses.length) setTimeout(() => beat(map), 60);
}

/** Draws what only the wall shows. */
export function drawWall(resource, map) {
  if (!resource.data) return;
  left(resource.data);
  feed(resource.data);
  pulse(resource.data.events, map);
}

function summary(state, live, edition) {
  const now = new Date();
  const late = Date.now() - lastAnswer > 120000;
  const all = state.category.length === CATEGORIES.length;
  const what = all ? t("category.all") : listed(state.category.map((name) => t(`category.${name}`)));
  const parts = [
    what,
    t("wall.period", { n: between(state.from, state.to) }),
    edition ? t("wall.edition", { id: edition }) : null,
  ].filter(Boolean);
  draw(
    byId("wall-summary"),
    h("span", { class: "mid" }, parts.join(" · ")),
    h("span", { class: "live" }, h("i", { class: `dot ${live === "off" ? "full" : "on"}` }), t(`live.${live}`)),
    h("b", { class: `wall-clock${late ? " late" : ""}` }, clock(now)),
    h("span", { class: "mid wall-date" }, h("span", {}, localDay(now)), h("span", {}, weekday(now))),
  );
}

/** Starts the clock and, unless held, the turn through measures. `facts()` gives {live, edition}. */
export function startWall(store, facts) {
  byId("wall-summary").hidden = false;
  const tick = () => {
    const { live, edition } = facts();
    summary(store.get(), live, edition);
  };
  tick();
  setInterval(tick, 1000);
  if (store.get().hold) return;
  let turn = Math.max(
    TURNS.findIndex((one) => one.by === store.get().by && one.measure === store.get().measure),
    0,
  );
  setInterval(() => {
    turn = (turn + 1) % TURNS.length;
    store.set(TURNS[turn]);
  }, 20000);
}
