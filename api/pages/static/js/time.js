// Events a day for a year, with the period as a brush on it.
import { addDays, between, clamp, preset, PRESETS } from "./days.js";
import { byId, calm, draw, h, icon, s } from "./dom.js";
import { monthName, number, t } from "./i18n.js";
import { around } from "./states.js";

const HIGH = 46;
const AXIS = 16;

/** The year that the chart shows: it ends today, or with the period where that lies earlier. */
export function span(state, today) {
  const end = addDays(today, 1);
  const to = state.to > end ? state.to : between(state.from, end) > 365 ? addDays(state.from, 365) : end;
  return { from: addDays(to, -365), to };
}

function bars(days, width, top, inside) {
  const step = width / days.length;
  const wide = Math.max(step * 0.72, 0.6);
  let path = "";
  days.forEach(({ day, count }, i) => {
    if (!count || !inside(day)) return;
    const high = Math.max((count / top) * (HIGH - 4), 0.8);
    path += `M${(i * step + (step - wide) / 2).toFixed(2)} ${HIGH}v${-high.toFixed(2)}h${wide.toFixed(2)}v${high.toFixed(2)}z`;
  });
  return path;
}

function lastYear(days, width, top) {
  const step = width / days.length;
  const smooth = days.map((_, i) => {
    const part = days.slice(Math.max(i - 7, 0), i + 8);
    return part.reduce((sum, one) => sum + (one.count ?? 0), 0) / part.length;
  });
  return smooth
    .map(
      (value, i) =>
        `${i ? "L" : "M"}${((i + 0.5) * step).toFixed(1)} ${(HIGH - (value / top) * (HIGH - 4)).toFixed(1)}`,
    )
    .join("");
}

function ticks(days, width) {
  const step = width / days.length;
  return days.flatMap(({ day }, i) => {
    if (!day.endsWith("-01")) return [];
    const month = Number(day.slice(5, 7));
    const x = (i + 0.5) * step;
    const text = month === 1 ? day.slice(0, 7).replace("-0", "-") : monthName(day);
    return [
      s("line", { x1: x, x2: x, y1: HIGH, y2: HIGH + 4, class: "axis" }),
      x > width - 34 ? null : s("text", { x: x + 4, y: HIGH + AXIS - 3 }, text),
    ];
  });
}

/** The brush: a slider with two edges over the chart; `move(from, to, done)` hears of it. */
function brush(year, state, width, move) {
  const total = between(year.from, year.to);
  const place = (node, from, to) => {
    node.style.left = `${(100 * between(year.from, from)) / total}%`;
    node.style.width = `${(100 * between(from, to)) / total}%`;
  };
  const edge = (side) =>
    h("span", {
      class: `edge ${side}`,
      role: "slider",
      tabindex: "0",
      "aria-label": t(side === "start" ? "time.from" : "time.to"),
      "data-key": `edge-${side}`,
      "aria-valuemin": 0,
      "aria-valuemax": total,
      "aria-valuenow": between(year.from, side === "start" ? state.from : addDays(state.to, -1)),
      "aria-valuetext": side === "start" ? state.from : addDays(state.to, -1),
      onkeydown: (event) => {
        const by = { ArrowLeft: -1, ArrowRight: 1, PageDown: -7, PageUp: 7 }[event.key];
        if (!by) return;
        event.preventDefault();
        if (side === "start") move(clampDay(addDays(state.from, by), year.from, addDays(state.to, -1)), state.to, true);
        else move(state.from, clampDay(addDays(state.to, by), addDays(state.from, 1), year.to), true);
      },
    });
  const node = h("div", { class: "brush" }, edge("start"), edge("end"));
  place(node, clampDay(state.from, year.from, year.to), clampDay(state.to, year.from, year.to));
  node.place = (from, to) => place(node, from, to);
  return node;
}

const clampDay = (day, low, high) => (day < low ? low : day > high ? high : day);

/** Follows a drag over the chart. The period is asked for at most five times a second, and once at the end. */
function follow(chart, marker, year, current, commit) {
  const total = between(year.from, year.to);
  const dayAt = (event) => {
    const box = chart.getBoundingClientRect();
    return addDays(year.from, clamp(Math.floor(((event.clientX - box.left) / box.width) * total), 0, total - 1));
  };
  let last = 0;
  chart.addEventListener("pointerdown", (down) => {
    if (down.button) return;
    const { from, to } = current();
    const start = dayAt(down);
    const edge = down.target.closest?.(".edge");
    const mode = edge
      ? edge.classList.contains("start")
        ? "start"
        : "end"
      : start >= from && start < to && between(from, to) < total
        ? "move"
        : "new";
    let period = { from, to };
    chart.setPointerCapture(down.pointerId);
    const drag = (event) => {
      const day = dayAt(event);
      period = dragged(mode, { from, to, start, day, year });
      marker.place(period.from, period.to);
      if (Date.now() - last < 200) return;
      last = Date.now();
      commit(period.from, period.to, false);
    };
    const end = () => {
      chart.removeEventListener("pointermove", drag);
      chart.removeEventListener("pointerup", end);
      chart.removeEventListener("pointercancel", end);
      commit(period.from, period.to, true);
    };
    chart.addEventListener("pointermove", drag);
    chart.addEventListener("pointerup", end);
    chart.addEventListener("pointercancel", end);
  });
}

function dragged(mode, { from, to, start, day, year }) {
  if (mode === "start") return { from: day < to ? day : addDays(to, -1), to };
  if (mode === "end") return { from, to: day >= from ? addDays(day, 1) : addDays(from, 1) };
  if (mode === "new") return day < start ? { from: day, to: addDays(start, 1) } : { from: start, to: addDays(day, 1) };
  const by = clamp(between(start, day), between(from, year.from), between(to, year.to));
  return { from: addDays(from, by), to: addDays(to, by) };
}

function widen(event, state, year, commit) {
  event.preventDefault();
  const by = (event.deltaY > 0 ? 1 : -1) * Math.max(Math.round(between(state.from, state.to) / 12), 1);
  const from = clampDay(addDays(state.from, -by), year.from, addDays(state.to, -1));
  commit(from, state.to, true);
}

function head(state, total, facts, act) {
  const last = addDays(state.to, -1);
  const length = between(state.from, state.to);
  const text =
    last === state.from
      ? last
      : `${state.from} — ${last.slice(0, 4) === state.from.slice(0, 4) ? last.slice(5) : last}`;
  return h(
    "header",
    { class: "time-head" },
    calm.matches
      ? null
      : h(
          "button",
          {
            type: "button",
            class: "round play",
            "aria-label": t(facts.playing ? "time.pause" : "time.play"),
            "data-key": "play",
            onclick: act.play,
          },
          icon(facts.playing ? "pause" : "play"),
        ),
    h("b", { class: "period" }, text),
    h(
      "span",
      { class: "mid" },
      `${t("time.days", { n: length })}${total == null ? "" : ` · ${t("time.total", { n: number(total) })}`}`,
    ),
    h(
      "div",
      { class: "segments presets", role: "group", "aria-label": t("time.presets") },
      PRESETS.map((name) =>
        h(
          "button",
          {
            type: "button",
            "aria-pressed": String(state.preset === name),
            "data-key": `preset-${name}`,
            onclick: () => act.set(preset(name, facts.today)),
          },
          t(`time.${name}`),
        ),
      ),
    ),
  );
}

/** Draws the panel. `act`: set({from, to}), preview(from, to), play(), retry(). */
export function drawTime(state, resource, facts, act) {
  const panel = byId("time");
  const year = span(state, facts.today);
  const frame = around(resource, "what.time", act.retry, 3);
  if (frame.instead) {
    draw(panel, head(state, null, facts, act), frame.instead);
    return;
  }
  const days = resource.data.days ?? [];
  const before = resource.data.year_before ?? [];
  const inside = (day) => day >= state.from && day < state.to;
  const chosen = days.filter((one) => inside(one.day));
  const total = chosen.some((one) => one.count == null) ? null : chosen.reduce((sum, one) => sum + one.count, 0);
  const width = Math.max(panel.clientWidth - 28, 200);
  const top = Math.max(4, ...days.map((one) => one.count ?? 0)) * 1.05;
  const marker = brush(year, state, width, (from, to) => act.set({ from, to }));
  const chart = h(
    "div",
    { class: "chart" },
    s(
      "svg",
      {
        width,
        height: HIGH + AXIS,
        viewBox: `0 0 ${width} ${HIGH + AXIS}`,
        role: "img",
        "aria-label": t("time.title"),
      },
      s("path", { d: bars(days, width, top, (day) => !inside(day)), class: "outside" }),
      s("path", { d: bars(days, width, top, inside), class: "inside" }),
      before.length ? s("path", { d: lastYear(before, width, top), class: "before" }) : null,
      s("line", { x1: 0, x2: width, y1: HIGH, y2: HIGH, class: "axis" }),
      ticks(days, width),
    ),
    h(
      "p",
      { class: "key-note note", "aria-hidden": "true" },
      t("time.per_day"),
      h("span", { class: "dashes" }),
      t("time.before"),
    ),
    marker,
  );
  draw(panel, head(state, total, facts, act), frame.above, chart);
  follow(
    chart,
    marker,
    year,
    () => state,
    (from, to, done) => (done ? act.set({ from, to }) : act.preview(from, to)),
  );
  chart.addEventListener("wheel", (event) => widen(event, state, year, (from, to) => act.set({ from, to })), {
    passive: false,
  });
}

/** The period one length back or on, not beyond today. */
export function shifted(state, direction, today) {
  const length = between(state.from, state.to) * direction;
  const to = addDays(state.to, length);
  return to > addDays(today, 1) ? null : { from: addDays(state.from, length), to };
}
