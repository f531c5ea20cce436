// Who and what changes hands: figures, codes as bands from old to new, events, workers, checks before publishing.
import { categoryIcon, draw, h, icon, narrow, s } from "./dom.js";
import { getLanguage, has, listed, number, shortMoment, t } from "./i18n.js";
import { inLanguage, withheldNumber } from "./plan_words.js";
import { short } from "./plan_names.js";
import { bones, empty, failed } from "./states.js";

const ROW = 26;
const LEAST = 6;
const GAP = 8;
// Wide beside the map; on a phone as wide as the screen, so that letters keep their size.
const wide = () => (narrow.matches ? { all: 358, left: 124, right: 222 } : { all: 436, left: 150, right: 286 });
const SHOWN = 8;
const MOST_CHANGES = 40;
const TURN_MS = 5; // of a frame's 16.7: the map beside may be drawn in it, too
let all = false;

const figure = (value, label) => h("div", { class: "figure-card" }, h("b", {}, typeof value === "number" ? number(value) : value), h("span", { class: "mid" }, label));

/** Ends of one side, each as high as the households that pass through it. */
function ends(codes, flows, which, scale) {
  let y = 0;
  return new Map(codes.map((code) => {
    const sum = flows.filter((one) => one[which] === code).reduce((total, one) => total + one.households, 0);
    const from = y;
    y += Math.max(sum * scale, LEAST) + GAP;
    return [code, { code, sum, from, to: y - GAP, used: 0 }];
  }));
} // prettier-ignore

/** One change: old codes left, new ones right, a band for the households of each flow between them. */
function bands(change, scope) {
  const at = ({ old, new: now }) => change.old.indexOf(old) * change.new.length + change.new.indexOf(now);
  // From the top down at both ends: bands that need not cross do not.
  const flows = change.flows.filter((one) => one.old && one.new && (one.households || change.flows.length === 1)).sort((a, b) => at(a) - at(b));
  const most = Math.max(1, change.households);
  const scale = (Math.max(change.old.length, change.new.length) * ROW) / most;
  const left = ends(change.old, change.flows, "old", scale);
  const right = ends(change.new, change.flows, "new", scale);
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
  const bottom = Math.max(ROW, ...[...left.values(), ...right.values()].map((end) => end.to));
  const moving = change.flows.filter((one) => one.old && one.new && one.old !== one.new);
  const word = change.change === "reshape" && moving.length
    ? t("plan.change.moved", { b: number(moving.reduce((n, one) => n + one.buildings, 0)), n: number(moving.reduce((n, one) => n + one.households, 0)) })
    : t(`plan.change.${change.change}`);
  nodes.push(s("text", { class: "word", x: mid, y: bottom / 2 + 4, "text-anchor": "middle" }, word));
  return { nodes, height: bottom };
} // prettier-ignore

/** The changes as bands, each a drawing of its own: they are drawn one after another. */
function* lineage(into, state) {
  const { grids } = state.impact;
  const { scope } = state.plan;
  const names = (codes) => codes.map((code) => short(code, scope)).join(" ");
  const box = h("div", { class: "lineage", role: "img", "aria-label": grids.map((one) => `${names(one.old)} → ${names(one.new)}`).join("; ") });
  into.append(part(t("plan.lineage"), t("plan.lineage_note", { a: number(state.impact.retired.length), b: number(state.impact.born.length) }), box));
  for (const change of grids.slice(0, MOST_CHANGES)) {
    const { nodes, height } = bands(change, scope);
    box.append(s("svg", { viewBox: `0 0 ${wide().all} ${height + 10}`, "aria-hidden": "true" }, nodes));
    yield;
  }
  if (grids.length > MOST_CHANGES) box.after(h("p", { class: "note" }, t("plan.more_findings", { n: number(grids.length - MOST_CHANGES) })));
} // prettier-ignore

const place = (code, state) => (code ? short(code, state.plan.scope) : "–");
const person = (who) => (who ? (who.name ?? who) : t("plan.nobody"));

function eventRow(one, state) {
  const same = JSON.stringify(one.handler) === JSON.stringify(one.handler_after);
  return h("li", { class: "event" }, categoryIcon(one.category),
    h("span", { class: "grow" }, t(`category.${one.category}`), h("span", { class: "dim small" }, ` · ${has(`status.${one.status}`) ? t(`status.${one.status}`) : one.status}`,
      one.resolve_due_at ? ` · ${t("plan.due", { time: shortMoment(one.resolve_due_at) })}` : "")),
    h("span", { class: "code small" }, `${place(one.from, state)} → ${place(one.to, state)}`),
    h("span", { class: "tag " + (same ? "" : "todo") }, same ? t("plan.same_handler") : `${person(one.handler)} → ${person(one.handler_after)}`)); // prettier-ignore
}

const part = (name, note, ...content) =>
  h("section", { class: "impact-part" }, h("header", { class: "part-head" }, h("h3", {}, name), note ? h("span", { class: "dim small" }, note) : null), content);

const byHouseholds = (by) => (by ? t("plan.by_households", { n: `${by > 0 ? "+" : "−"}${number(Math.abs(by))}` }) : "");

/** Rows of a list, one after another. */
function* rows(list, items, row) {
  for (const one of items) {
    list.append(row(one));
    yield;
  }
}

function* events(into, state, act) {
  const { items, open, routed, kept, withhold_below: below } = state.impact.events;
  if (!items.length && open === 0) return;
  const head = (...content) => into.append(part(t("plan.events_open", { n: withheldNumber(open, below) }), t("plan.events_note"), content));
  if (!items.length) {
    head(h("p", { class: "mid" }, t("plan.events_counted", { a: withheldNumber(routed, below), b: withheldNumber(kept, below) })));
    return;
  }
  const list = h("ul");
  const more = () => { all = true; act.redraw(); }; // prettier-ignore
  head(list, !all && items.length > SHOWN ? h("button", { type: "button", class: "link more", onclick: more }, t("plan.all_events", { n: number(items.length) })) : null);
  yield* rows(list, all ? items : items.slice(0, SHOWN), (one) => eventRow(one, state));
} // prettier-ignore

function* workers(into, { impact, plan }) {
  const people = [...impact.workers, ...impact.units];
  if (!people.length) return;
  const codes = (of) => listed(of.map((code) => short(code, plan.scope))) || "–";
  const list = h("ul", { class: "workers" });
  into.append(part(t("plan.workers"), null, list));
  yield* rows(list, people, (one) =>
    h("li", {}, h("b", {}, one.name), ` ${has(`role.${one.role}`) ? t(`role.${one.role}`) : (one.role ?? "")} `, one.from.join() === one.to.join() ? codes(one.to) : `${codes(one.from)} → ${codes(one.to)}`,
      h("span", { class: "dim" }, ` ${byHouseholds(one.households - one.households_before)}`))); // prettier-ignore
}

/** All of the panel, from the top down; at every yield it may wait for the next frame. */
function* content(into, state, act) {
  const { impact } = state;
  const { open, withhold_below: below } = impact.events;
  into.append(h("div", { class: "figure-cards" },
    figure(impact.buildings.count, t("plan.moved_buildings")), figure(impact.buildings.households, t("plan.moved_households")),
    figure(withheldNumber(open, below), t("plan.moved_events")), figure(impact.workers.length, t("plan.moved_workers")))); // prettier-ignore
  yield;
  if (impact.grids.length) yield* lineage(into, state);
  else into.append(empty("grid", t("plan.no_impact")));
  yield* events(into, state, act);
  yield* workers(into, state);
  const checks = impact.checks.map((one) => h("li", { class: one.ok ? "ok" : "not" }, icon(one.ok ? "check" : "hazard"), inLanguage(one.text)));
  if (checks.length) into.append(part(t("plan.before_publishing"), null, h("ul", { class: "ready" }, checks)));
}

/** What a panel shows, and of what it was made; by panel. */
const standing = new WeakMap();

/** Takes as many steps in a frame as there is time for; leaves off once somebody else draws there. */
function inTurns(steps, still, done) {
  const turn = () => {
    if (!still()) return;
    const end = performance.now() + TURN_MS;
    while (performance.now() < end) {
      if (steps.next().done) return done(); // prettier-ignore
    }
    requestAnimationFrame(turn);
  };
  turn();
}

/** Puts content and the box at the end into a panel. A box that stands there is not touched: it may be typed in. */
function put(panel, node, publish) {
  if (publish?.parentNode === panel) {
    while (panel.firstChild !== publish) panel.firstChild.remove();
    publish.before(...[node].flat());
  } else draw(panel, node, publish);
}

/** Draws the panel. `act`: retry, redraw; `publish` is the box at its end, or null. */
export function drawImpact(panel, state, { act, error, publish }) {
  const { impact, plan } = state;
  if (!impact) {
    standing.delete(panel);
    put(panel, error ? failed("plan.what.impact", error, act.retry) : bones(8), publish);
    return;
  }
  const before = standing.get(panel);
  const sort = [plan.id, plan.scope, getLanguage(), narrow.matches, all].join();
  if (before?.impact === impact && before.sort === sort) {
    const [last, shown] = [panel.lastChild, before.node.parentNode === panel];
    if (shown && last !== (publish ?? before.node)) put(panel, before.node, publish);
    return;
  }
  const now = { impact, sort, node: h("div", { class: "scroll" }) };
  standing.set(panel, now);
  // Where an impact is shown the next one takes its place once all of it is there, at the same height.
  const instead = before?.node.parentNode === panel;
  if (!instead) put(panel, now.node, publish);
  inTurns(content(now.node, state, act), () => standing.get(panel) === now, () => {
    if (!instead) return;
    const at = before.node.scrollTop;
    before.node.replaceWith(now.node);
    if (at) now.node.scrollTop = at;
  }); // prettier-ignore
}
