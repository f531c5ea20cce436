// What the service says in two languages at once, in the one of the page; numbers that may be withheld; moments.
import { getLanguage, number } from "./i18n.js";

const CHINESE = /[\u3000-\u30ff\u3400-\u9fff\uff00-\uffef]/g;

/** The part of "中文 English" in the page's language; all of it where it is in one language only. */
export function inLanguage(text) {
  const last = [...String(text ?? "").matchAll(CHINESE)].at(-1);
  if (!last) return text ?? "";
  const rest = text.slice(last.index + 1);
  // Numbers and dates may end the Chinese sentence; a number before a word begins the English one.
  const begins = rest.search(/(?:^|\s)(?:\d[\d,.]*\s+)?[A-Za-z]{2}/);
  if (begins < 0) return text;
  const at = last.index + 1 + begins;
  return (getLanguage() === "en" ? text.slice(at) : text.slice(0, at)).trim();
}

export const withheldNumber = (value, below) => (value == null ? `<${below ?? 3}` : number(value));

/** A local time of a zone, YYYY-MM-DDTHH:MM, as RFC 3339 with its offset. */
export function withZone(local, timeZone) {
  const parts = (moment) =>
    new Intl.DateTimeFormat("sv-SE", { timeZone, dateStyle: "short", timeStyle: "medium" }).format(moment).replace(" ", "T");
  const asUtc = new Date(`${local.slice(0, 16)}:00Z`);
  // Twice, since the offset of the first guess may be that of the other side of a change of clocks.
  let offset = new Date(`${parts(asUtc)}Z`) - asUtc;
  offset = new Date(`${parts(new Date(asUtc - offset))}Z`) - new Date(asUtc - offset);
  const minutes = Math.round(Math.abs(offset) / 60000);
  const two = (value) => String(value).padStart(2, "0");
  return `${local.slice(0, 16)}:00${offset < 0 ? "-" : "+"}${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`;
}
