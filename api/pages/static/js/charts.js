// Small drawings of numbers.
import { h, s } from "./dom.js";
import { number, short, t } from "./i18n.js";

/** A line of a few weeks with its last point; null where there are fewer than two. */
export function sparkline(values, { width = 62, height = 20, fill = true, colour = "var(--ink-3)" } = {}) {
  if (!values || values.length < 2) return h("span", { class: "dim" }, "–");
  const high = Math.max(...values);
  const low = Math.min(...values);
  const x = (i) => 1 + (i * (width - 5)) / (values.length - 1);
  const y = (value) => height - 4 - ((value - low) * (height - 8)) / (high - low || 1);
  const points = values.map((value, i) => `${x(i).toFixed(1)},${y(value).toFixed(1)}`);
  const last = values.length - 1;
  return s(
    "svg",
    {
      class: "spark",
      width,
      height,
      viewBox: `0 0 ${width} ${height}`,
      "aria-hidden": "true",
      style: { color: colour },
    },
    fill
      ? s("polygon", {
          points: `${x(0)},${height} ${points.join(" ")} ${x(last)},${height}`,
          fill: "currentColor",
          opacity: 0.1,
        })
      : null,
    s("polyline", {
      points: points.join(" "),
      fill: "none",
      stroke: "currentColor",
      "stroke-width": 1.4,
      "stroke-linejoin": "round",
    }),
    s("circle", { cx: x(last), cy: y(values[last]), r: 2.2, fill: "currentColor" }),
  );
}

/** A round number at least as large as `value`, for the top of an axis. */
export function ceiling(value) {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1)));
  return [1, 2, 4, 5, 8, 10].map((one) => one * power).find((one) => one >= value) ?? value;
}

/** Twelve months as bars with a tick for the same month a year before; `inside(month)` marks the chosen period. */
export function months(rows, inside) {
  const width = 312;
  const height = 84;
  const top = ceiling(Math.max(2, ...rows.flatMap((one) => [one.count ?? 0, one.before ?? 0])));
  const left = 8 + 6.5 * short(top).length;
  const floor = height - 18;
  const y = (value) => floor - (value / top) * (floor - 6);
  const step = (width - left) / rows.length;
  const axis = [0, top / 2, top].map((value) => [
    s("line", { x1: left, x2: width, y1: y(value), y2: y(value), class: "axis" }),
    s("text", { x: left - 5, y: y(value) + 4, "text-anchor": "end" }, short(value)),
  ]);
  const bars = rows.map((one, i) => {
    const x = left + i * step;
    const label = `${one.month}: ${number(one.count)}; ${t("drill.before")} ${number(one.before)}`;
    return s(
      "g",
      {},
      s("title", {}, label),
      s("rect", {
        x: x + step * 0.22,
        width: step * 0.56,
        y: y(one.count ?? 0),
        height: Math.max(floor - y(one.count ?? 0), 0),
        rx: 1.5,
        class: inside(one.month) ? "month-bar now" : "month-bar",
      }),
      one.before == null
        ? null
        : s("line", {
            x1: x + step * 0.14,
            x2: x + step * 0.86,
            y1: y(one.before),
            y2: y(one.before),
            class: "before",
          }),
      s("text", { x: x + step / 2, y: height - 4, "text-anchor": "middle" }, String(Number(one.month.slice(5)))),
    );
  });
  return s(
    "svg",
    { class: "months", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": t("drill.months") },
    axis,
    bars,
  );
}

/** Sums of days ({day, count}) by month: [{month: "2026-03", count}]. A withheld day makes its month unknown. */
export function byMonth(days) {
  const sums = new Map();
  for (const { day, count } of days) {
    const month = day.slice(0, 7);
    const sum = sums.has(month) ? sums.get(month) : 0;
    sums.set(month, sum == null || count == null ? null : sum + count);
  }
  return [...sums].map(([month, count]) => ({ month, count }));
}

/** Sums of the last `n` whole weeks of days, oldest first. */
export function byWeek(days, n = 13) {
  const tail = days.slice(-7 * n);
  const sums = [];
  for (let i = 0; i + 7 <= tail.length; i += 7)
    sums.push(tail.slice(i, i + 7).reduce((sum, one) => sum + (one.count ?? 0), 0));
  return sums;
}
