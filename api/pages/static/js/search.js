// The search box: areas by code and name, streets, event numbers. Keys: ↓ ↑ ↵ Esc.
import { get } from "./api.js";
import { byId, draw, h, icon } from "./dom.js";
import { has, t } from "./i18n.js";

const SYMBOL = { area: "grid", street: "right", event: "info" };

function option(result, i, chosen, choose) {
  const kind =
    result.type === "area" && has(`kind.${result.kind}`) ? t(`kind.${result.kind}`) : t(`search.${result.type}`);
  const path = [...(result.path_names ?? []), result.code].filter(Boolean).join(" › ");
  return h(
    "li",
    {
      role: "option",
      id: `found-${i}`,
      "aria-selected": String(i === chosen),
      onmousedown: (event) => {
        event.preventDefault();
        choose(result);
      },
    },
    icon(SYMBOL[result.type] ?? "search"),
    h(
      "span",
      { class: "grow" },
      h("b", {}, result.name ?? result.id ?? result.code),
      h("span", { class: "dim small" }, ` ${path}`),
    ),
    h("span", { class: "tag" }, kind),
  );
}

class SearchBox {
  #results = null;
  #failed = false;
  #chosen = 0;
  #timer = null;
  #running = null;

  constructor(open) {
    this.open = open;
    this.input = h("input", {
      type: "search",
      id: "q",
      autocomplete: "off",
      spellcheck: "false",
      role: "combobox",
      "aria-expanded": "false",
      "aria-controls": "found",
      "aria-autocomplete": "list",
      oninput: () => {
        clearTimeout(this.#timer);
        this.#timer = setTimeout(() => this.ask(), 160);
      },
      onfocus: () => this.show(),
      onblur: () => this.fold(),
      onkeydown: (event) => this.key(event),
    });
    this.list = h("ul", { id: "found", role: "listbox", class: "card found", hidden: true });
    const hint = h("span", { class: "key", "aria-hidden": "true" }, "/");
    draw(byId("search"), icon("search"), this.input, hint, this.list);
    this.label();
    this.fold();
  }

  focus() {
    this.input.focus();
  }

  /** Says the box's name in the present language. */
  label() {
    this.input.placeholder = t("search.placeholder");
    this.input.setAttribute("aria-label", t("search.label"));
  }

  fold() {
    this.list.hidden = true;
    this.input.setAttribute("aria-expanded", "false");
  }

  show() {
    const q = this.input.value.trim();
    const found = this.#results ?? [];
    this.list.hidden = !q || (!this.#results && !this.#failed);
    this.input.setAttribute("aria-expanded", String(!this.list.hidden));
    if (found.length) this.input.setAttribute("aria-activedescendant", `found-${this.#chosen}`);
    const nothing = [h("b", {}, t("search.none", { q })), h("p", { class: "dim small" }, t("search.none_note"))];
    const say = (...words) => h("li", { class: "none", role: "option" }, words);
    draw(
      this.list,
      this.#failed ? say(t("search.failed")) : null,
      this.#results && !found.length ? say(nothing) : null,
      found.map((result, i) => option(result, i, this.#chosen, (one) => this.choose(one))),
    );
  }

  choose(result) {
    this.clear();
    this.input.blur();
    this.open(result);
  }

  clear() {
    this.#running?.abort();
    clearTimeout(this.#timer);
    this.input.value = "";
    this.#results = null;
    this.#failed = false;
    this.show();
  }

  async ask() {
    const q = this.input.value.trim();
    this.#running?.abort();
    if (!q) {
      this.#results = null;
      this.show();
      return;
    }
    const mine = (this.#running = new AbortController());
    try {
      const answer = await get("/api/search", { q, limit: 12 }, mine.signal);
      if (this.#running !== mine) return;
      [this.#results, this.#failed, this.#chosen] = [answer.results ?? [], false, 0];
    } catch (error) {
      if (error.name === "AbortError") return;
      [this.#results, this.#failed] = [null, true];
    }
    this.show();
  }

  async key(event) {
    if (event.isComposing) return;
    if (event.key === "Escape") {
      event.stopPropagation();
      this.clear();
      this.input.blur();
    }
    if (event.key === "Enter") {
      clearTimeout(this.#timer);
      if (!this.#results) await this.ask();
      if (this.#results?.length) this.choose(this.#results[this.#chosen]);
      return;
    }
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const n = this.#results?.length;
    if (!by || !n) return;
    event.preventDefault();
    this.#chosen = (this.#chosen + by + n) % n;
    this.show();
  }
}

/** Builds the box; `open(result)` hears of what was chosen. */
export const createSearch = (open) => new SearchBox(open);
