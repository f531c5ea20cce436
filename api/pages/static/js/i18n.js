// Words, numbers and dates in the viewer's language.
import zh from "./texts/zh.js";
import en from "./texts/en.js";

const DICTIONARIES = { zh: { ...zh }, en: { ...en } };
const listeners = new Set();
let language = "zh";
let zone = "Asia/Shanghai";
let formats = {};

function build() {
  const locale = language === "en" ? "en-GB" : "zh-CN";
  const format = (options) => new Intl.DateTimeFormat(locale, { timeZone: zone, hourCycle: "h23", ...options });
  formats = {
    whole: new Intl.NumberFormat(locale, { maximumFractionDigits: 0 }),
    one: new Intl.NumberFormat(locale, { minimumFractionDigits: 1, maximumFractionDigits: 1 }),
    compact: new Intl.NumberFormat(locale, { notation: "compact", maximumFractionDigits: 1 }),
    short: new Intl.NumberFormat(locale, { maximumSignificantDigits: 3 }),
    time: format({ hour: "2-digit", minute: "2-digit" }),
    weekday: format({ weekday: "long" }),
    month: new Intl.DateTimeFormat(locale, { timeZone: "UTC", month: "short" }),
    day: new Intl.DateTimeFormat("en-CA", { timeZone: zone, year: "numeric", month: "2-digit", day: "2-digit" }),
  };
}

/** Adds the words that only one page needs: {zh: {…}, en: {…}}. */
export function extend(words) {
  for (const [code, more] of Object.entries(words)) Object.assign(DICTIONARIES[code], more);
}

/** Sets where days begin and the first language: address, then what was chosen before, then the server's. */
export function start(timeZone, fromServer) {
  zone = timeZone;
  const asked = new URLSearchParams(location.search).get("lang");
  let kept = null;
  try {
    kept = localStorage.getItem("gridmap.language");
  } catch {
    /* storage may be refused */
  }
  setLanguage([asked, kept, fromServer, "zh"].find((code) => code in DICTIONARIES));
}

export function setLanguage(code) {
  language = code;
  build();
  try {
    localStorage.setItem("gridmap.language", code);
  } catch {
    /* storage may be refused */
  }
  document.cookie = `gridmap_language=${code}; path=/; max-age=31536000; samesite=lax`;
  document.documentElement.lang = code === "en" ? "en" : "zh-CN";
  for (const node of document.querySelectorAll("[data-t]")) node.textContent = t(node.dataset.t);
  for (const node of document.querySelectorAll("[data-t-label]"))
    node.setAttribute("aria-label", t(node.dataset.tLabel));
  for (const listener of listeners) listener(code);
}

export const getLanguage = () => language;

/** Several names in a row. */
export const listed = (names) => names.join(language === "en" ? ", " : "、");
export const onLanguage = (listener) => listeners.add(listener);

/** The text of `key` with `{name}` filled in from `values`; the key itself where there is none. */
export function t(key, values) {
  const text = DICTIONARIES[language][key] ?? key;
  return values ? text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "") : text;
}

export const has = (key) => key in DICTIONARIES[language];
export const number = (value) => (value == null ? "–" : formats.whole.format(value));
/** As `number`, but short from ten thousand on: 4.6万, 46.2K. */
export const short = (value) => (value == null ? "–" : value < 10000 ? number(value) : formats.compact.format(value));
export const oneDigit = (value) => (value == null ? "–" : formats.one.format(value));
export const brief = (value) => (value == null ? "–" : formats.short.format(value));
export const percent = (value) => (value == null ? "–" : formats.one.format(value * 100));
export const clock = (moment) => formats.time.format(moment);
export const weekday = (moment) => formats.weekday.format(moment);
/** "9月", "Sep": the month of a day YYYY-MM-DD. */
export const monthName = (day) => formats.month.format(new Date(`${day}T00:00:00Z`));
/** The local calendar day of a moment as YYYY-MM-DD. */
export const localDay = (moment) => formats.day.format(moment);

/** "今天 13:51", "11-19 16:08": as short as it can be understood. */
export function shortMoment(text) {
  const moment = new Date(text);
  const day = localDay(moment);
  const now = new Date();
  if (day === localDay(now)) return `${t("day.today")} ${clock(moment)}`;
  if (day === localDay(new Date(now - 86400000))) return `${t("day.yesterday")} ${clock(moment)}`;
  return `${day.slice(0, 4) === localDay(now).slice(0, 4) ? day.slice(5) : day} ${clock(moment)}`;
}

/** A change as a sign with a number: ▲, ▼ or nothing when it rounds to zero. */
export function signed(value, format) {
  const text = format(Math.abs(value));
  if (!/[1-9]/.test(text)) return { mark: "", text };
  return { mark: value > 0 ? "▲" : "▼", text };
}
