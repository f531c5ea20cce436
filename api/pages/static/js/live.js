// News from the service: server-sent events where it has them, else asking every few seconds.
import { get } from "./api.js";

const NAMES = ["event", "events", "change", "changes", "edition", "message"];
const POLL_MS = 2500;

/**
 * Follows what changes. `changed({edition})` is called at most once a second; `mode` hears "on", "polling", "off".
 * Where there is no stream, the newest events and the day's count are compared instead.
 */
export function follow(changed, mode) {
  let pending = null;
  let edition = null;
  let stream = null;
  let timer = null;
  let seen = null;

  function soon(news) {
    edition = news?.edition ?? edition;
    pending ??= setTimeout(() => {
      pending = null;
      changed({ edition });
      edition = null;
    }, 300);
  }

  async function poll() {
    try {
      const answer = await get("/api/events/counts");
      const now = JSON.stringify(answer);
      if (seen !== null && now !== seen) soon({});
      seen = now;
      mode("polling");
    } catch (error) {
      if (error.status === 0) mode("off");
    }
    timer = setTimeout(poll, document.hidden ? POLL_MS * 8 : POLL_MS);
  }

  function read(event) {
    let data = {};
    try {
      data = JSON.parse(event.data);
    } catch {
      /* a comment or a plain word is news all the same */
    }
    soon(event.type === "edition" ? { edition: data.edition ?? data.id } : {});
  }

  function listen() {
    let opened = false;
    stream = new EventSource("/api/stream");
    stream.onopen = () => {
      if (opened) soon({});
      opened = true;
      mode("on");
    };
    for (const name of NAMES) stream.addEventListener(name, read);
    stream.onerror = () => {
      mode("off");
      if (stream.readyState !== EventSource.CLOSED) return;
      stream = null;
      if (opened) timer = setTimeout(listen, 5000);
      else poll();
    };
  }

  listen();
  return () => {
    stream?.close();
    clearTimeout(timer);
    clearTimeout(pending);
  };
}
