// From values to classes: what the legend lists and the map fills. A class is {k, token, label, hatch, count}.
import { brief, number, t } from "./i18n.js";

export const WITHHELD = -1;
export const NOBODY = -2;
const NONE = 0;

/** "< 3": which counts are not shown. Zero hides among them for those not entitled to small counts. */
export const withheldRange = (below) => `< ${below ?? 3}`;

function upTo(breaks, value) {
  let i = 0;
  while (i < breaks.length && value >= breaks[i]) i += 1;
  return i;
}

/** The six steps of the ramp spread over as many classes as there are. */
const step = (i, n) => (n === 1 ? 4 : Math.round(1 + (i * 5) / (n - 1)));

function sequential(heat) {
  const { breaks, measure, withholdBelow } = heat;
  const whole = measure === "count";
  const n = breaks.length + 1;
  const label = (i) => {
    if (i === 0) return t("legend.less", { n: brief(breaks[0]) });
    if (i === n - 1) return t("legend.more", { n: brief(breaks[i - 1]) });
    const high = whole ? breaks[i] - 1 : breaks[i];
    return whole && high <= breaks[i - 1] ? number(breaks[i - 1]) : `${brief(breaks[i - 1])} – ${brief(high)}`;
  };
  const never = whole && withholdBelow && breaks[0] <= withholdBelow;
  const classes = [];
  const lowest = never ? 1 : 0;
  for (let i = n - 1; i >= lowest; i -= 1)
    classes.push({ k: i + 1, token: `seq${step(i - lowest, n - lowest)}`, label: label(i) });
  classes.push({ k: NONE, token: "seq0", label: t("legend.none"), optional: true });
  classes.push({ k: NOBODY, token: "none", label: t("legend.nobody"), optional: true });
  classes.push({
    k: WITHHELD,
    hatch: true,
    optional: true,
    label: t("legend.withheld", { range: withheldRange(withholdBelow) }),
  });
  return { classes, of: (value) => (value === 0 ? NONE : upTo(breaks, value) + 1) };
}

function change(heat) {
  const edges = heat.breaks.length === 6 ? heat.breaks : [-60, -30, -10, 10, 30, 60];
  const size = (i) => brief(Math.abs(edges[i]));
  const labels = [
    t("legend.fall_more", { a: size(0) }),
    t("legend.fall", { a: size(1), b: size(0) }),
    t("legend.fall", { a: size(2), b: size(1) }),
    t("legend.level", { a: size(3) }),
    t("legend.rise", { a: size(3), b: size(4) }),
    t("legend.rise", { a: size(4), b: size(5) }),
    t("legend.rise_more", { a: size(5) }),
  ];
  const classes = labels.map((label, i) => ({ k: i + 1, token: `div${i + 1}`, label })).reverse();
  classes.push({ k: WITHHELD, hatch: true, optional: true, label: t("legend.withheld_change") });
  return { classes, of: (value) => upTo(edges, value) + 1 };
}

function hotspot(heat) {
  const levels = [99, 95, 90];
  const classes = levels.map((p, i) => ({ k: 7 - i, token: `hot${3 - i}`, label: t("legend.hot", { p }) }));
  classes.push({ k: 4, token: "none", label: t("legend.not_significant") });
  for (const [i, p] of [...levels].reverse().entries())
    classes.push({ k: 3 - i, token: `cold${i + 1}`, label: t("legend.cold", { p }) });
  classes.push({
    k: WITHHELD,
    hatch: true,
    optional: true,
    label: t("legend.withheld", { range: withheldRange(heat.withholdBelow) }),
  });
  const of = (value, item) => {
    const p = item.p ?? 1;
    const level = p < 0.01 ? 3 : p < 0.05 ? 2 : p < 0.1 ? 1 : 0;
    return 4 + Math.sign(item.z ?? value) * level;
  };
  return { classes, of };
}

/** Classes of a heat answer with the number of units in each, and a function item → k. */
export function classify(heat) {
  const scheme =
    heat.measure === "change" ? change(heat) : heat.measure === "hotspot" ? hotspot(heat) : sequential(heat);
  const of = (item) => {
    if (item.value == null) return item.withheld || heat.measure === "change" ? WITHHELD : NOBODY;
    return scheme.of(item.value, item);
  };
  const counts = new Map();
  for (const item of heat.items) {
    const k = of(item);
    counts.set(k, (counts.get(k) ?? 0) + 1);
  }
  const classes = scheme.classes
    .map((one) => ({ ...one, count: counts.get(one.k) ?? 0 }))
    .filter((one) => !one.optional || one.count);
  return { classes, of };
}
