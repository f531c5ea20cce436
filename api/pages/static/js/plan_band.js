// A number of households as a dot on the band of what is allowed.
import { h } from "./dom.js";
import { number, t } from "./i18n.js";

/** "under", "over" or null. */
export const breachOf = (households, range) =>
  !range ? null : households < range[0] ? "under" : households > range[1] ? "over" : null;

/** The dot on its band; the band reaches half as far again as the most that is allowed. */
export function band(households, range, breach = breachOf(households, range)) {
  if (!range) return h("span", { class: "band none" });
  const most = range[1] * 1.5;
  const share = (value) => `${(100 * Math.min(value, most)) / most}%`;
  return h(
    "span",
    { class: `band ${breach ?? "fits"}`, "aria-hidden": "true" },
    h("i", { class: "zone", style: { left: share(range[0]), right: `calc(100% - ${share(range[1])})` } }),
    h("i", { class: "spot", style: { left: share(households) } }),
  );
}

/** What is wrong with a number of households, in words; empty where nothing is. */
export function breachText(households, range, breach = breachOf(households, range)) {
  if (breach === "over") return t("plan.over", { n: number(households - range[1]) });
  if (breach === "under") return t("plan.under", { n: number(range[0] - households) });
  return "";
}
