// Calendar days as YYYY-MM-DD: arithmetic on them knows no time zone.
const MS = 86400000;
const toNumber = (day) => Date.parse(`${day}T00:00:00Z`) / MS;
const toDay = (value) => new Date(value * MS).toISOString().slice(0, 10);

export const isDay = (text) =>
  typeof text === "string" && /^\d{4}-\d\d-\d\d$/.test(text) && !Number.isNaN(toNumber(text));
export const addDays = (day, n) => toDay(toNumber(day) + n);
/** Days from a to b. */
export const between = (a, b) => Math.round(toNumber(b) - toNumber(a));
export const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

export const PRESETS = ["today", "7", "30", "90", "year"];

/** The period of a preset: `from` inclusive, `to` exclusive. */
export function preset(name, today) {
  const to = addDays(today, 1);
  if (name === "today") return { from: today, to };
  if (name === "year") return { from: `${today.slice(0, 4)}-01-01`, to };
  return { from: addDays(to, -Number(name)), to };
}

/** Which preset a period is, or null. */
export const presetOf = (from, to, today) =>
  PRESETS.find((name) => {
    const one = preset(name, today);
    return one.from === from && one.to === to;
  }) ?? null;
