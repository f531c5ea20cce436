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

/** Builds the box; `open(result)` hears of what was chosen. */
export function createSearch(open) {
  let results = null;
  let failed = false;
  let chosen = 0;
  let timer = null;
  let running = null;
  const input = h("input", {
    type: "search",
    id: "q",
    autocomplete: "off",
    spellcheck: "false",
    role: "combobox",
    "aria-expanded": "false",
    "aria-controls": "found",
    "aria-autocomplete": "list",
  });
  const list = h("ul", { id: "found", role: "listbox", class: "card found", hidden: true });

  function show() {
    const q = input.value.trim();
    const nothing = results && !results.length;
    list.hidden = !q || (!results && !failed);
    input.setAttribute("aria-expanded", String(!list.hidden));
    if (results?.length) input.setAttribute("aria-activedescendant", `found-${chosen}`);
    draw(
      list,
      failed ? h("li", { class: "none", role: "option" }, t("search.failed")) : null,
      nothing
        ? h(
            "li",
            { class: "none", role: "option" },
            h("b", {}, t("search.none", { q })),
            h("p", { class: "dim small" }, t("search.none_note")),
          )
        : null,
      (results ?? []).map((result, i) => option(result, i, chosen, choose)),
    );
  }

  function choose(result) {
    clear();
    input.blur();
    open(result);
  }

  function clear() {
    running?.abort();
    clearTimeout(timer);
    input.value = "";
    results = null;
    failed = false;
    show();
  }

  async function ask() {
    const q = input.value.trim();
    running?.abort();
    if (!q) {
      results = null;
      show();
      return;
    }
    const mine = (running = new AbortController());
    try {
      const answer = await get("/api/search", { q, limit: 12 }, mine.signal);
      if (running !== mine) return;
      [results, failed, chosen] = [answer.results ?? [], false, 0];
    } catch (error) {
      if (error.name === "AbortError") return;
      [results, failed] = [null, true];
    }
    show();
  }

  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(ask, 160);
  });
  input.addEventListener("focus", show);
  input.addEventListener("blur", () => {
    list.hidden = true;
    input.setAttribute("aria-expanded", "false");
  });
  input.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    if (event.key === "Escape") {
      clear();
      input.blur();
      event.stopPropagation();
    }
    if (event.key === "Enter" && results?.[chosen]) choose(results[chosen]);
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!by || !results?.length) return;
    event.preventDefault();
    chosen = (chosen + by + results.length) % results.length;
    show();
  });

  function label() {
    input.placeholder = t("search.placeholder");
    input.setAttribute("aria-label", t("search.label"));
    show();
  }
  draw(byId("search"), icon("search"), input, h("span", { class: "key", "aria-hidden": "true" }, "/"), list);
  label();
  list.hidden = true;
  return { focus: () => input.focus(), label };
}
