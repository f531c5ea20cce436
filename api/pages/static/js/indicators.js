// The strip of rates: the number, then its honesty one hover away.
import { byId, draw, h } from "./dom.js";
import { number, oneDigit, percent, signed, t } from "./i18n.js";
import { around } from "./states.js";

const NAMES = ["in_grid_rate", "completion_rate", "on_time_rate", "response_rate", "active_grid_share"];
/** Those in which a fall means that a deadline was missed: only these turn red. */
const DEADLINES = ["on_time_rate", "response_rate"];

const before = (one) =>
  typeof one?.year_before === "object" ? one.year_before : one?.year_before == null ? null : { value: one.year_before };

function change(name, one, wall) {
  const last = before(one)?.value;
  if (one?.value == null || last == null) return h("span", { class: "dim" }, t("indicator.no_last"));
  const points = (one.value - last) * 100;
  const { mark, text } = signed(points, oneDigit);
  const tone = mark === "▼" ? (DEADLINES.includes(name) ? "bad" : "dim") : mark ? "good" : "dim";
  return h(
    "span",
    {},
    h("span", { class: tone }, mark, text, wall ? null : h("span", { class: "points" }, ` ${t("indicator.points")}`)),
    wall ? null : h("span", { class: "dim" }, ` ${t("indicator.year")}`),
  );
}

function explanation(name, one) {
  const last = before(one);
  return h(
    "div",
    { class: "explain", role: "tooltip", id: `explain-${name}` },
    h("p", {}, h("b", {}, t(`indicator.${name}`)), ` = ${t(`indicator.${name}.how`)}`),
    h("p", {}, `${number(one?.numerator)} ÷ ${number(one?.denominator)} = ${percent(one?.value)}%`),
    h(
      "p",
      { class: "soft" },
      last?.value == null
        ? t("indicator.no_last")
        : last.numerator == null
          ? t("indicator.last", { value: `${percent(last.value)}%`, numerator: "–", denominator: "–" })
          : t("indicator.last", {
              value: `${percent(last.value)}%`,
              numerator: number(last.numerator),
              denominator: number(last.denominator),
            }),
    ),
  );
}

/** Draws the strip from the resource's state. */
export function drawIndicators(resource, wall, retry) {
  const panel = byId("indicators");
  panel.setAttribute("aria-label", t("indicators"));
  const frame = around(resource, "what.indicators", retry, 3);
  if (frame.instead) {
    draw(panel, frame.instead);
    return;
  }
  const given = resource.data.indicators ?? {};
  draw(
    panel,
    frame.above,
    h(
      "ul",
      { class: "rates" },
      NAMES.filter((name) => given[name]).map((name) => {
        const one = given[name];
        return h(
          "li",
          {
            class: "rate",
            tabindex: wall ? null : "0",
            "aria-describedby": `explain-${name}`,
            "data-key": `rate-${name}`,
          },
          h("span", { class: "mid label" }, t(`indicator.${name}`)),
          h(
            "span",
            { class: "value" },
            h("b", {}, percent(one.value)),
            one.value == null ? null : h("b", { class: "unit" }, "%"),
          ),
          h("span", { class: "delta" }, change(name, one, wall)),
          wall
            ? h("span", { class: "fraction mid" }, `${number(one.numerator)} / ${number(one.denominator)}`)
            : explanation(name, one),
        );
      }),
    ),
  );
}
