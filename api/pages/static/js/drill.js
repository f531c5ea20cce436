// What is known of one selected area: households and events, twelve months, who works there, what happened last.
import { get } from "./api.js";
import { byMonth, months } from "./charts.js";
import { withheldRange } from "./classes.js";
import { addDays } from "./days.js";
import { byId, categoryIcon, draw, h, icon } from "./dom.js";
import { filters, loadHeat } from "./heat.js";
import { brief, clock, has, localDay, number, shortMoment, signed, t } from "./i18n.js";
import { loadArea, place } from "./places.js";
import { CATEGORIES } from "./state.js";
import { around, empty, toast } from "./states.js";

const BELOW_VILLAGE = ["comprehensive", "micro", "dedicated"];
const FINISHED = ["closed", "rejected"];
const unless = (error) => {
  if (error.name === "AbortError") throw error;
  return null;
};

/** First day of the month eleven months before that of `day`. */
function yearOfMonths(day) {
  const [year, month] = day.split("-").map(Number);
  const first = new Date(Date.UTC(year, month - 12, 1)).toISOString().slice(0, 10);
  return { from: first, to: addDays(day, 1) };
}

async function figures(area, state, compares, signal) {
  const common = { by: "grid", kind: area.kind, ...filters(state, CATEGORIES), area: area.code };
  const [rate, change, counts] = await Promise.all([
    loadHeat({ ...common, measure: "per_100_households" }, signal),
    compares ? loadHeat({ ...common, measure: "change", compare: "year" }, signal).catch(unless) : null,
    get("/api/events/counts", { ...filters(state, CATEGORIES), area: area.code }, signal).catch(unless),
  ]);
  const own = (heat) => heat?.items.find((item) => item.code === area.code) ?? null;
  const item = own(rate);
  const statuses = counts?.counts ?? counts;
  const open = statuses
    ? Object.entries(statuses)
        .filter(
          ([name, n]) =>
            has(`status.${name}`) && name !== "overdue" && !FINISHED.includes(name) && typeof n === "number",
        )
        .reduce((sum, [, n]) => sum + n, 0)
    : null;
  return {
    item,
    below: rate.withholdBelow,
    withheld: Boolean(item?.withheld),
    change: own(change)?.value ?? null,
    open,
  };
}

/** Twelve months with those of the year before. */
async function year(area, state, today, signal) {
  const query = { ...filters(state, CATEGORIES), ...yearOfMonths(today), area: area.code, by: "month" };
  const answer = await get("/api/indicators", query, signal);
  const sums = (rows) => byMonth(rows.map(({ month, count }) => ({ day: month, count })));
  const before = new Map(sums(answer.year_before).map(({ month, count }) => [month, count]));
  const earlier = (month) => `${Number(month.slice(0, 4)) - 1}${month.slice(4)}`;
  return sums(answer.months).map((one) => ({ ...one, before: before.get(earlier(one.month)) ?? null }));
}

async function latest(area, state, signal) {
  const answer = await get("/api/events", { ...filters(state, CATEGORIES), area: area.code, limit: 6 }, signal);
  return answer.features.map((feature) => feature.properties);
}

/** Loads everything for the selected area; parts that the account may not see or that fail are null. */
export async function loadDrill(state, facts, signal) {
  const area = await loadArea(state.grid, signal);
  facts.onArea(area);
  if (area.kind === "micro" && area.parent && !place(area.parent)) await loadArea(area.parent, signal).catch(unless);
  const numbers = await figures(area, state, facts.compares, signal);
  const [monthly, workers, events] = await Promise.all([
    numbers.withheld ? null : year(area, state, facts.today, signal).catch(unless),
    get("/api/workers", { area: area.code }, signal)
      .then((answer) => answer.workers ?? [])
      .catch(unless),
    numbers.withheld ? null : latest(area, state, signal).catch(unless),
  ]);
  return { area, ...numbers, monthly, workers, events };
}

function figure(label, value, note) {
  return h(
    "div",
    { class: "fact" },
    h("dt", { class: "mid" }, label),
    h("dd", {}, value),
    h("dd", { class: "dim small" }, note ?? ""),
  );
}

function numbers(data) {
  const { item, withheld, below, change, open, area } = data;
  const hidden = h("b", { class: "hidden-value" }, `${withheldRange(below)}`);
  const households = item?.households ?? area.households;
  const delta = change == null ? null : signed(change, (n) => number(Math.round(n)));
  const built = area.properties.buildings;
  return h(
    "dl",
    { class: "facts" },
    figure(
      t("drill.households"),
      h("b", {}, number(households)),
      built == null ? "" : t("drill.buildings", { n: number(built) }),
    ),
    figure(
      t("drill.events"),
      withheld ? hidden : h("b", {}, number(item?.count)),
      withheld || open == null ? "" : t("drill.open", { n: number(open) }),
    ),
    figure(
      t("drill.rate"),
      h("b", {}, withheld || item?.value == null ? "–" : brief(item.value)),
      withheld || item?.count == null || !households ? "" : `${number(item.count)} / ${number(households)}`,
    ),
    figure(
      t("drill.change"),
      h("b", {}, delta ? (delta.mark ? `${delta.mark}${delta.text}%` : t("wall.level")) : "–"),
      delta && item?.count != null ? t("drill.last", { n: number(Math.round(item.count / (1 + change / 100))) }) : "",
    ),
  );
}

function trend(data, state) {
  if (!data.monthly?.length) return null;
  if (data.monthly.every((one) => one.count == null)) {
    return h("p", { class: "note withheld-note" }, t("drill.trend_withheld"));
  }
  const inside = (month) => `${month}-31` >= state.from && `${month}-01` < state.to;
  return h(
    "section",
    { class: "part" },
    h(
      "div",
      { class: "part-head" },
      h("h3", {}, t("drill.months")),
      h(
        "span",
        { class: "keys" },
        h("span", { class: "key-bar" }),
        t("drill.this"),
        h("span", { class: "key-line" }),
        t("drill.before"),
      ),
    ),
    months(data.monthly, inside),
  );
}

function duty(worker) {
  const full = worker.load != null && worker.load >= worker.capacity;
  const until = worker.until ? clock(new Date(worker.until)) : null;
  if (!worker.on_duty)
    return [h("span", { class: "dot off" }), until ? t("drill.back", { time: until }) : t("drill.off")];
  return [h("span", { class: full ? "dot full" : "dot on" }), t("drill.on")];
}

function workers(list) {
  if (!list) return null;
  const rows = list
    .slice(0, 5)
    .map((worker) =>
      h(
        "li",
        { class: "worker" },
        h("span", { class: "avatar small", "aria-hidden": "true" }, [...worker.name][0]),
        h(
          "span",
          { class: "grow" },
          worker.name,
          h("span", { class: "dim" }, ` ${has(`role.${worker.role}`) ? t(`role.${worker.role}`) : worker.role}`),
        ),
        h("span", { class: "duty mid" }, duty(worker)),
        h(
          "span",
          { class: `load ${worker.on_duty && worker.load >= worker.capacity ? "full" : "mid"}` },
          worker.load == null || !worker.on_duty ? "–" : t("drill.load", worker),
        ),
      ),
    );
  return h(
    "section",
    { class: "part" },
    h("div", { class: "part-head" }, h("h3", {}, t("drill.workers"))),
    rows.length ? h("ul", {}, rows) : h("p", { class: "dim small" }, t("drill.no_workers")),
  );
}

export const statusTag = (status) => {
  const tone =
    {
      unassigned: "todo",
      assigned: "todo",
      closed: "done",
      verified: "done",
      resolved: "moved",
      transferred: "moved",
      escalated: "moved",
      rejected: "",
      suspended: "",
    }[status] ?? "doing";
  return h("span", { class: `tag ${tone}` }, t(`status.${status}`));
};

/** Minutes are for those who handle events; others see the week below villages. */
function moment(event, coarse) {
  if (!event.occurred_at) return "";
  if (!coarse && event.occurred_at.length > 10) return shortMoment(event.occurred_at);
  const day = event.occurred_at.length > 10 ? localDay(new Date(event.occurred_at)) : event.occurred_at;
  const monday = addDays(day, -((new Date(`${day}T00:00:00Z`).getUTCDay() + 6) % 7));
  return t("drill.week", { date: monday.slice(5) });
}

function events(data, facts, widen) {
  if (!data.events) return null;
  const coarse = !facts.handles && BELOW_VILLAGE.includes(data.area.kind);
  const rows = data.events.map((event) =>
    h(
      "li",
      { class: "event" },
      categoryIcon(event.category),
      h(
        "span",
        { class: "grow" },
        coarse || !event.subcategory ? t(`category.${event.category}`) : facts.subcategory(event),
      ),
      statusTag(event.status),
      h("span", { class: "mid when" }, moment(event, coarse)),
    ),
  );
  return h(
    "section",
    { class: "part" },
    h(
      "div",
      { class: "part-head" },
      h("h3", {}, t("drill.latest")),
      h("span", { class: "dim small sealed" }, icon("lock"), t("drill.sealed")),
    ),
    rows.length ? h("ul", {}, rows) : empty("check", t("drill.no_events"), null, widen),
  );
}

function copyCode(code) {
  const done = () => toast("check", t("drill.copied", { code }));
  navigator.clipboard?.writeText(code).then(done, () => {});
}

function head(code, area, act) {
  const above = (area?.path ?? []).slice(0, -1).map((one) => place(one));
  const names = above.filter((one) => ["town", "village", "comprehensive"].includes(one?.kind)).map((one) => one.name);
  return h(
    "header",
    { class: "drill-head" },
    h(
      "div",
      { class: "grow" },
      h("p", { class: "mid small" }, names.join(" › ")),
      h("h2", {}, area?.name ?? code),
      h(
        "p",
        { class: "code mid" },
        code,
        h(
          "button",
          {
            type: "button",
            class: "tiny",
            "aria-label": t("drill.copy"),
            title: t("drill.copy"),
            "data-key": "copy",
            onclick: () => copyCode(code),
          },
          icon("copy"),
        ),
      ),
    ),
    h(
      "button",
      {
        type: "button",
        class: "round",
        "aria-label": t("drill.close"),
        "data-key": "drill-close",
        onclick: act.close,
      },
      icon("close"),
    ),
  );
}

/** Draws the panel. `facts`: today, handles, compares, home, subcategory(event); `act`: close, retry, descend, widen. */
export function drawDrill(state, resource, facts, act) {
  const panel = byId("drill");
  panel.hidden = !state.grid;
  document.body.classList.toggle("has-choice", Boolean(state.grid));
  if (!state.grid) {
    draw(panel);
    return;
  }
  const known = place(state.grid);
  if (resource.error?.status === 404) {
    draw(
      panel,
      head(state.grid, null, act),
      empty("lock", t("drill.not_found"), t("drill.not_found_note", { place: facts.home.name }), {
        label: t("drill.close"),
        act: act.close,
      }),
    );
    return;
  }
  const frame = around(resource, "what.area", act.retry, 8);
  if (frame.instead) {
    draw(panel, head(state.grid, known, act), frame.instead);
    return;
  }
  const { data } = resource;
  const deeper =
    ["county", "town", "village"].includes(data.area.kind) && data.area.code !== (state.area ?? facts.home.code);
  draw(
    panel,
    head(state.grid, data.area, act),
    frame.above,
    h(
      "div",
      { class: "scroll" },
      numbers(data),
      data.withheld ? h("p", { class: "note withheld-note" }, t("drill.withheld_note")) : null,
      trend(data, state),
      workers(data.workers),
      events(data, facts, act.widen),
    ),
    deeper
      ? h(
          "footer",
          {},
          h(
            "button",
            {
              type: "button",
              class: "button primary grow",
              "data-key": "descend",
              onclick: () => act.descend([place(data.area.code)]),
            },
            t("drill.enter"),
            icon("right"),
          ),
        )
      : null,
  );
}
