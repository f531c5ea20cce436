// Something fetched that may be late, fail, or be asked again before it came.

/**
 * Wraps `load(signal)`. The listener gets {data, error, pending, slow, at}: the last good data stays while a newer
 * request runs or after it failed, and `at` says of when it is. `slow` turns true after 200 ms without data,
 * `late` after ten seconds.
 */
export function resource(load, listener) {
  let state = { data: null, error: null, pending: false, slow: false, late: false, at: null };
  let running = null;
  let timers = [];
  const stopTimers = () => timers.forEach(clearTimeout);
  const tell = (patch) => {
    state = { ...state, ...patch };
    listener(state);
  };

  async function refresh({ fresh = false } = {}) {
    running?.abort();
    stopTimers();
    const mine = (running = new AbortController());
    state = { ...state, pending: true, ...(fresh ? { data: null, error: null, at: null } : {}) };
    const unless = (patch) => () => {
      if (running === mine && !state.data) tell(patch);
    };
    timers = [setTimeout(unless({ slow: true }), 200), setTimeout(unless({ late: true }), 10000)];
    try {
      const data = await load(mine.signal);
      if (running !== mine) return;
      stopTimers();
      tell({ data, error: null, pending: false, slow: false, late: false, at: Date.now() });
    } catch (error) {
      if (running !== mine || error.name === "AbortError") return;
      stopTimers();
      tell({ error, pending: false, slow: false, late: false });
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
      stopTimers();
    },
  };
}
