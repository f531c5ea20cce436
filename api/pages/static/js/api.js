// Requests: one place for the session, the CSRF header, problems and being offline.
const listeners = new Map();

/** Hear of "offline", "online" and "expired". */
export const on = (name, listener) => listeners.set(name, [...(listeners.get(name) ?? []), listener]);
const emit = (name, detail) => (listeners.get(name) ?? []).forEach((listener) => listener(detail));

/** When the service answered last, in milliseconds. */
export let lastAnswer = Date.now();
let reachable = true;

/** A refusal: `status` (0 where nothing answered), stable `code`, human `detail`, `number` of the request,
 *  `findings` with the places of the trouble. */
export class Problem extends Error {
  constructor(status, code, detail, number, findings = []) {
    super(detail || code);
    Object.assign(this, { name: "Problem", status, code, detail, number, findings });
  }
}

function reach(yes) {
  if (yes) lastAnswer = Date.now();
  if (yes === reachable) return;
  reachable = yes;
  emit(yes ? "online" : "offline");
}

export function address(path, params = {}) {
  const query = Object.entries(params)
    .filter(([, value]) => value != null && value !== "")
    .map(([name, value]) => `${name}=${encodeURIComponent(value).replaceAll("%2C", ",")}`);
  return query.length ? `${path}?${query.join("&")}` : path;
}

let turn = 0;
let changing = null;

/** Does what gives the page another session. Who asked with the former one meanwhile asks again, and none is over. */
export async function renew(change) {
  changing = change();
  try {
    return await changing;
  } finally {
    changing = null;
    turn += 1;
  }
}

async function request(url, options) {
  const began = turn;
  let answer;
  try {
    answer = await fetch(url, { credentials: "same-origin", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    reach(false);
    throw new Problem(0, "offline", error.message);
  }
  reach(true);
  if (answer.status === 401 && !options.last && (changing || began !== turn)) {
    await Promise.allSettled([changing]);
    return request(url, { ...options, last: true });
  }
  if (answer.status === 401) emit("expired");
  if (!answer.ok) {
    const problem = await answer.json().catch(() => ({}));
    const code = problem.code ?? `http_${answer.status}`;
    throw new Problem(answer.status, code, problem.detail ?? problem.title, problem.instance, problem.findings);
  }
  return answer.status === 204 ? null : answer.json();
}

/** GETs JSON. */
export const get = (path, params, signal) =>
  request(address(path, params), { signal, headers: { Accept: "application/json" } });

/** Sends JSON with the page's CSRF token. */
export function send(method, path, body, more = {}) {
  const token = document.querySelector('meta[name="csrf"]')?.content ?? "";
  const headers = { "Content-Type": "application/json", Accept: "application/json", "X-CSRF-Token": token };
  return request(path, { method, headers, body: JSON.stringify(body), ...more });
}
