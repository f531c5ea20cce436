// Something fetched that may be late, fail, or be asked again before it came.

/**
 * Wraps `load(signal)`. The listener gets {data, error, pending, slow, at}: the last good data stays while a newer
 * request runs or after it failed, and `at` says of when it is. `slow` turns true after 200 ms without data.
 */
export function resource(load, listener) {
  let state = { data: null, error: null, pending: false, slow: false, at: null };
  let running = null;
  let timer = null;
  const tell = (patch) => {
    state = { ...state, ...patch };
    listener(state);
  };

  async function refresh({ fresh = false } = {}) {
    running?.abort();
    clearTimeout(timer);
    const mine = (running = new AbortController());
    state = { ...state, pending: true, ...(fresh ? { data: null, error: null, at: null } : {}) };
    timer = setTimeout(() => {
      if (running === mine && !state.data) tell({ slow: true });
    }, 200);
    try {
      const data = await load(mine.signal);
      if (running !== mine) return;
      clearTimeout(timer);
      tell({ data, error: null, pending: false, slow: false, at: Date.now() });
    } catch (error) {
      if (running !== mine || error.name === "AbortError") return;
      clearTimeout(timer);
      tell({ error, pending: false, slow: false });
      if (!("status" in error)) throw error;
    }
  }

  return {
    refresh,
    state: () => state,
    redraw: () => listener(state),
    stop: () => {
      running?.abort();
      running = null;
      clearTimeout(timer);
    },
  };
}
