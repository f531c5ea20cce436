// Who and what changes hands: figures, codes as bands from old to new, events, workers, checks before publishing.
import { categoryIcon, draw, h, icon, narrow, s } from "./dom.js";
import { has, listed, number, shortMoment, t } from "./i18n.js";
import { inLanguage, withheldNumber } from "./plan_words.js";
import { short } from "./plan_names.js";
import { bones, empty, failed } from "./states.js";

const ROW = 26;
const LEAST = 6;
const GAP = 8;
// Wide beside the map; on a phone as wide as the screen, so that letters keep their size.
const wide = () => (narrow.matches ? { all: 358, left: 124, right: 222 } : { all: 436, left: 150, right: 286 });
const SHOWN = 8;
let all = false;

const figure = (value, label) => h("div", { class: "figure-card" }, h("b", {}, typeof value === "number" ? number(value) : value), h("span", { class: "mid" }, label));

/** Ends of one side, each as high as the households that pass through it. */
function ends(codes, flows, which, top, scale) {
  let y = top;
  return new Map(codes.map((code) => {
    const sum = flows.filter((one) => one[which] === code).reduce((total, one) => total + one.households, 0);
    const from = y;
    y += Math.max(sum * scale, LEAST) + GAP;
    return [code, { code, sum, from, to: y - GAP, used: 0 }];
  }));
} // prettier-ignore

/** One change: old codes left, new ones right, a band for the households of each flow between them. */
function bands(change, top, scope) {
  const flows = change.flows.filter((one) => one.old && one.new && (one.households || change.flows.length === 1));
  const most = Math.max(1, change.households);
  const scale = (Math.max(change.old.length, change.new.length) * ROW) / most;
  const left = ends(change.old, change.flows, "old", top, scale);
  const right = ends(change.new, change.flows, "new", top, scale);
  const { left: x1, right: x2 } = wide();
  const mid = (x1 + x2) / 2;
  const take = (end, flow) => {
    const share = end.sum ? flow.households / end.sum : 1;
    const from = end.from + (end.to - end.from) * end.used;
    end.used += share;
    return [from, end.from + (end.to - end.from) * end.used];
  };
  const paths = flows.filter((flow) => left.has(flow.old) && right.has(flow.new)).map((flow) => {
    const [[a1, a2], [b1, b2]] = [take(left.get(flow.old), flow), take(right.get(flow.new), flow)];
    const moved = change.change === "reshape" && flow.old !== flow.new;
    return s("path", { class: `flow ${change.change} ${moved ? "moved" : ""}`, d: `M${x1} ${a1}C${mid} ${a1} ${mid} ${b1} ${x2} ${b1}L${x2} ${b2}C${mid} ${b2} ${mid} ${a2} ${x1} ${a2}Z` });
  });
  const label = (end, x, anchor, mark, word) => [
    s("rect", { class: mark, x: x - 2, y: end.from, width: 4, height: end.to - end.from }),
    s("text", { x: anchor === "end" ? x - 10 : x + 10, y: (end.from + end.to) / 2 + 4, "text-anchor": anchor },
      s("tspan", { class: "strong" }, short(end.code, scope)), ` ${[word, t("plan.households", { n: number(end.sum) })].filter(Boolean).join(" ")}`),
  ];
  const gone = (code) => !change.new.includes(code);
  const born = (code) => !change.old.includes(code);
  const nodes = [
    paths,
    [...left.values()].map((end) => label(end, x1, "end", gone(end.code) ? "gone" : "kept", gone(end.code) ? t("plan.retired") : "")),
    [...right.values()].map((end) => label(end, x2, "start", born(end.code) ? "born" : "kept", born(end.code) ? t("plan.born") : "")),
  ];
  const bottom = Math.max(top + ROW, ...[...left.values(), ...right.values()].map((end) => end.to));
  const moving = change.flows.filter((one) => one.old && one.new && one.old !== one.new);
  const word = change.change === "reshape" && moving.length
    ? t("plan.change.moved", { b: number(moving.reduce((n, one) => n + one.buildings, 0)), n: number(moving.reduce((n, one) => n + one.households, 0)) })
    : t(`plan.change.${change.change}`);
  nodes.push(s("text", { class: "word", x: mid, y: (top + bottom) / 2 + 4, "text-anchor": "middle" }, word));
  return { nodes, height: bottom - top };
} // prettier-ignore

function lineage(state) {
  const { grids } = state.impact;
  let top = 0;
  const nodes = grids.slice(0, 40).map((change) => {
    const drawn = bands(change, top, state.plan.scope);
    top += drawn.height + 10;
    return drawn.nodes;
  });
  const names = (codes) => codes.map((code) => short(code, state.plan.scope)).join(" ");
  const words = grids.map((one) => `${names(one.old)} → ${names(one.new)}`);
  return s("svg", { class: "lineage", viewBox: `0 0 ${wide().all} ${Math.max(top, 1)}`, role: "img", "aria-label": words.join("; ") }, nodes);
} // prettier-ignore

const place = (code, state) => (code ? short(code, state.plan.scope) : "–");
const person = (who) => (who ? (who.name ?? who) : t("plan.nobody"));

function events(state, act) {
  const { items } = state.impact.events;
  const same = (one) => JSON.stringify(one.handler) === JSON.stringify(one.handler_after);
  const row = (one) =>
    h("li", { class: "event" }, categoryIcon(one.category),
      h("span", { class: "grow" }, t(`category.${one.category}`), h("span", { class: "dim small" }, ` · ${has(`status.${one.status}`) ? t(`status.${one.status}`) : one.status}`,
        one.resolve_due_at ? ` · ${t("plan.due", { time: shortMoment(one.resolve_due_at) })}` : "")),
      h("span", { class: "code small" }, `${place(one.from, state)} → ${place(one.to, state)}`),
      h("span", { class: "tag " + (same(one) ? "" : "todo") }, same(one) ? t("plan.same_handler") : `${person(one.handler)} → ${person(one.handler_after)}`)); // prettier-ignore
  return [
    h("ul", {}, items.slice(0, all ? items.length : SHOWN).map(row)),
    !all && items.length > SHOWN ? h("button", { type: "button", class: "link more", onclick: () => { all = true; act.redraw(); } }, t("plan.all_events", { n: number(items.length) })) : null,
  ]; // prettier-ignore
}

const part = (name, note, ...content) =>
  h("section", { class: "impact-part" }, h("header", { class: "part-head" }, h("h3", {}, name), note ? h("span", { class: "dim small" }, note) : null), content);

const byHouseholds = (by) => (by ? t("plan.by_households", { n: `${by > 0 ? "+" : "−"}${number(Math.abs(by))}` }) : "");

/** Draws the panel. `act`: retry, redraw; `publish` is the box at its end, or null. */
export function drawImpact(panel, state, { act, error, publish }) {
  const impact = state.impact;
  if (!impact) {
    draw(panel, error ? failed("plan.what.impact", error, act.retry) : bones(8), publish);
    return;
  }
  const scroll = panel.querySelector(".scroll")?.scrollTop ?? 0;
  const { plan } = state;
  const list = (codes) => listed(codes.map((code) => short(code, plan.scope))) || "–";
  const workers = [...impact.workers, ...impact.units].map((one) =>
    h("li", {}, h("b", {}, one.name), ` ${has(`role.${one.role}`) ? t(`role.${one.role}`) : (one.role ?? "")} `, one.from.join() === one.to.join() ? list(one.to) : `${list(one.from)} → ${list(one.to)}`,
      h("span", { class: "dim" }, ` ${byHouseholds(one.households - one.households_before)}`)));
  const checks = impact.checks.map((one) =>
    h("li", { class: one.ok ? "ok" : "not" }, icon(one.ok ? "check" : "hazard"), inLanguage(one.text))); // prettier-ignore
  const changed = impact.grids.length;
  draw(
    panel,
    h("div", { class: "scroll" },
      h("div", { class: "figure-cards" },
        figure(impact.buildings.count, t("plan.moved_buildings")), figure(impact.buildings.households, t("plan.moved_households")),
        figure(withheldNumber(impact.events.open, impact.events.withhold_below), t("plan.moved_events")), figure(impact.workers.length, t("plan.moved_workers"))),
      changed ? part(t("plan.lineage"), t("plan.lineage_note", { a: number(impact.retired.length), b: number(impact.born.length) }), lineage(state)) : empty("grid", t("plan.no_impact")),
      impact.events.items.length ? part(t("plan.events_open", { n: number(impact.events.open) }), t("plan.events_note"), events(state, act)) : null,
      impact.events.items.length || impact.events.open === 0 ? null
        : part(t("plan.events_open", { n: withheldNumber(impact.events.open, impact.events.withhold_below) }), t("plan.events_note"),
          h("p", { class: "mid" }, t("plan.events_counted", { a: withheldNumber(impact.events.routed, impact.events.withhold_below), b: withheldNumber(impact.events.kept, impact.events.withhold_below) }))),
      workers.length ? part(t("plan.workers"), null, h("ul", { class: "workers" }, workers)) : null,
      checks.length ? part(t("plan.before_publishing"), null, h("ul", { class: "ready" }, checks)) : null),
    publish,
  ); // prettier-ignore
  panel.querySelector(".scroll").scrollTop = scroll;
}
