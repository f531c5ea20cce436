// The plan in hand: what it is based on, what differs, what was measured; and every change to it, one after another.
import * as api from "./api.js";

const same = (a, b) => a === b || JSON.stringify(a.coordinates) === JSON.stringify(b.coordinates);
const byCode = (features) => new Map(features.map((one) => [one.properties.code, one]));
/** Of a plan that is still at the same revision: what time and others' publications change. */
const OF_THE_MOMENT = ["base_current", "notice_until", "may"];
const me = document.body.dataset.user;

/** Nobody answered, or something between here and the service did: whether it was done is not known. */
const unanswered = (error) => error.status === 0 || error.status >= 500;

async function everyPage(path, params) {
  let answer = await api.get(path, params);
  const features = [...answer.features];
  while (answer.next) {
    answer = await api.get(answer.next);
    features.push(...answer.features);
  }
  return features;
}

/** What of the areas is another one now: {gone: [code], put: [feature]}; geometry that is the same is kept as it is. */
export function difference(before, now) {
  const gone = [...before.keys()].filter((code) => !now.has(code));
  const put = [];
  for (const [code, feature] of now) {
    const old = before.get(code);
    if (!old || !same(old.geometry, feature.geometry)) put.push(feature);
    else feature.geometry = old.geometry;
  }
  return { gone, put };
}

/**
 * A plan at work. `tell(what, state, detail)` hears of "plan" (with the difference of areas), "numbers", "failed", "busy",
 * "problem", "others" (who did something meanwhile), and "done" (a call of which no answer came turned out to be done).
 * State: plan, base (code → feature), areas (code → feature), metrics, check, impact, busy, problem, savedAt; and lost, the
 * last call where it is not known whether it was done, with `sent`, the revision that was stated.
 */
export function createWork(tell) {
  const state = {
    plan: null, base: new Map(), areas: new Map(), metrics: null, check: null, impact: null, busy: 0, problem: null, lost: null, savedAt: null,
  }; // prettier-ignore
  let queue = Promise.resolve();
  let asked = 0;
  let live = true;
  const path = (what = "") => `/api/plans/${state.plan.id}${what ? `/${what}` : ""}`;

  function take(plan) {
    const changed = plan.areas ? byCode(plan.areas.features) : new Map();
    const retired = new Set(plan.retired ?? []);
    const now = new Map();
    for (const [code, feature] of state.base) if (!retired.has(code) && !changed.has(code)) now.set(code, feature);
    for (const [code, feature] of changed) {
      // Another name alone is no other border.
      const before = state.base.get(code);
      if (feature.properties.fate === "changed" && before && same(before.geometry, feature.geometry)) feature.properties.fate = "renamed";
      now.set(code, feature);
    }
    const detail = difference(state.areas, now);
    state.areas = now;
    delete plan.areas;
    state.plan = plan;
    state.savedAt = Date.now();
    tell("plan", state, detail);
    numbers();
  }

  /** Metrics and findings of this revision; the impact only once somebody looked at it. */
  async function numbers() {
    asked += 1;
    await Promise.all([ask("metrics"), ask("check"), state.impactWanted ? ask("impact") : null]);
  }

  function ask(name) {
    const turn = asked;
    return api.get(path(name)).then(
      (answer) => {
        if (turn !== asked || !live) return;
        state[name] = answer;
        tell("numbers", state, name);
      },
      (error) => {
        if (turn !== asked || !live) return;
        tell("failed", state, { name, error });
      },
    );
  }

  async function base(plan) {
    const features = await everyPage("/api/areas", { within: plan.scope, edition: plan.base, limit: 20000 });
    state.base = byCode(features.map(({ properties, geometry }) => ({
      type: "Feature", properties: { ...properties, fate: "same" }, geometry,
    }))); // prettier-ignore
  }

  async function load(id) {
    const plan = await api.get(`/api/plans/${id}`, { areas: "changed" });
    if (!live) return;
    if (!state.plan || state.plan.base !== plan.base) await base(plan);
    if (live) take(plan);
  }

  function settle(problem) {
    state.problem = problem;
    tell("problem", state);
  }

  /** Whether the call of which no answer came was done: the step after the revision that it stated is mine, and of its kind. */
  function done({ what, body, sent }) {
    const step = state.plan.history.find((one) => one.revision === sent + 1);
    const asked = [body.grid, body.into, body.to].filter(Boolean);
    return step?.by === me && step.op === (what === "edits" ? body.op : what) && asked.every((code) => step.detail.areas?.includes(code));
  }

  /** Once the plan is read again: whether what nobody answered was done, so that nothing is left to do. */
  function cleared() {
    const { lost } = state;
    state.lost = null;
    if (!lost || !done(lost)) return false;
    settle(null);
    tell("done", state, lost);
    return true;
  }

  /** One call after another: what is pressed meanwhile waits for its turn, and then knows the newest revision. */
  function call(what, body = {}) {
    state.busy += 1;
    tell("busy", state);
    const run = async () => {
      const { revision } = state.plan;
      try {
        if (state.problem) settle(null);
        const plan = await api.send("POST", api.address(path(what), { areas: "changed" }), { revision, ...body });
        if (plan.base !== state.plan.base) await base(plan);
        state.lost = null;
        take(plan);
        return true;
      } catch (error) {
        if (!(error instanceof api.Problem)) throw error;
        if (error.code === "stale_revision") {
          const read = await load(state.plan.id).then(() => true, () => false); // prettier-ignore
          // The same once more, of which no answer came before: the revision keeps it from being done twice.
          const same = state.lost?.what === what && JSON.stringify(state.lost.body) === JSON.stringify(body);
          if (read && cleared() && same) return true;
        }
        if (unanswered(error)) state.lost = { what, body, sent: revision };
        settle({ error, what, body, again: () => call(what, body) });
        return false;
      } finally {
        state.busy -= 1;
        tell("busy", state);
      }
    };
    const mine = queue.then(run);
    queue = mine.catch(() => null);
    return mine;
  }

  /** Whether somebody else worked on it since; then it is read again. */
  async function look() {
    if (!state.plan || state.busy) return;
    const seen = await api.get(path(), { areas: "false" }).catch(() => null);
    if (!seen || state.busy || !live) return;
    if (seen.revision !== state.plan.revision) {
      const by = seen.history.at(-1);
      await load(seen.id);
      if (!cleared()) tell("others", state, by);
    } else if (OF_THE_MOMENT.some((name) => String(seen[name]) !== String(state.plan[name]))) {
      const now = Object.fromEntries(OF_THE_MOMENT.map((name) => [name, seen[name]]));
      state.plan = { ...state.plan, ...now };
      tell("plan", state, { gone: [], put: [] });
      if (state.impactWanted) ask("impact"); // what is looked at before publishing is of the moment, too
    }
  }

  return {
    state,
    load,
    look,
    numbers,
    call,
    edit: (op, body) => call("edits", { op, ...body }),
    may: (what) => Boolean(state.plan?.may.includes(what)),
    dismiss: () => settle(null),
    wantImpact() {
      if (state.impactWanted) return;
      state.impactWanted = true;
      ask("impact");
    },
    close() {
      live = false;
    },
  };
}
