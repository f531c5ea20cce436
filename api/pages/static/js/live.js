// News from the service: server-sent events where it has them, else asking every few seconds.
import { get } from "./api.js";

const NAMES = ["event", "edition", "message"];
const POLL_MS = 2500;
const SOON_MS = 300;

class News {
  #pending = null;
  #edition = null;
  #timer = null;
  #seen = null;

  constructor(changed, mode) {
    this.changed = changed;
    this.mode = mode;
  }

  /** Several changes at once are told once. */
  soon(edition) {
    this.#edition = edition ?? this.#edition;
    this.#pending ??= setTimeout(() => {
      this.#pending = null;
      this.changed({ edition: this.#edition });
      this.#edition = null;
    }, SOON_MS);
  }

  listen() {
    let opened = false;
    const stream = new EventSource("/api/stream");
    stream.onopen = () => {
      if (opened) this.soon();
      opened = true;
      this.mode("on");
    };
    for (const name of NAMES) stream.addEventListener(name, (event) => this.read(event));
    stream.onerror = () => {
      this.mode("off");
      if (stream.readyState !== EventSource.CLOSED) return;
      if (opened) this.#timer = setTimeout(() => this.listen(), 5000);
      else this.poll();
    };
  }

  read(event) {
    if (event.type !== "edition") {
      this.soon();
      return;
    }
    this.soon(JSON.parse(event.data).edition);
  }

  async poll() {
    clearTimeout(this.#timer);
    try {
      const now = JSON.stringify(await get("/api/events/counts"));
      if (this.#seen !== null && now !== this.#seen) this.soon();
      this.#seen = now;
      this.mode("polling");
    } catch (error) {
      if (error.status === 0) this.mode("off");
    }
    this.#timer = setTimeout(() => this.poll(), document.hidden ? POLL_MS * 8 : POLL_MS);
  }
}

/**
 * Follows what changes. `changed({edition})` is called soon after any change, `edition` being a new one or null;
 * `mode` hears "on", "polling" or "off". Where there is no stream, counts of events are compared instead.
 */
export const follow = (changed, mode) => new News(changed, mode).listen();
