// Short names of what a plan holds: codes without what they share, operations in words.
import { has, listed, number, t } from "./i18n.js";

export const GRID_KINDS = ["comprehensive", "micro", "dedicated"];

/** A code inside a scope, short: "001-02" for what hangs from 001. */
export function short(code, scope, parent = null) {
  if (!code.startsWith(scope) || code === scope) return code;
  const rest = code.slice(scope.length);
  if (!parent || !parent.startsWith(scope) || parent === scope || !code.startsWith(parent)) return split(rest);
  return `${split(parent.slice(scope.length))}-${code.slice(parent.length)}`;
}

/** Three digits a level below the town; a longer rest has a level more. */
const split = (rest) => (rest.length > 3 ? rest.match(/^\d+$/) ? rest.replace(/(\d{3})(?=\d)/g, "$1-") : rest : rest);

/** What an edit, or a step of a plan, is called. */
export const opName = (op) => (has(`plan.op.${op}`) ? t(`plan.op.${op}`) : op);

/** What an edit did besides what it was asked for, in words: buildings that went along, sets torn apart. */
export const toldWords = (told) => [
  told?.along?.length ? t("plan.told.along", { n: number(told.along.length) }) : "",
  told?.torn?.length ? t("plan.told.torn", { names: listed(told.torn.map((one) => one.group)) }) : "",
].filter(Boolean); // prettier-ignore

/** The kind of grid that is redrawn: the finest there is. */
export const finest = (areas) => {
  const kinds = new Set([...areas.values()].map((one) => one.properties.kind));
  return ["micro", "comprehensive", "village", "town", "county"].find((kind) => kinds.has(kind)) ?? "micro";
};
