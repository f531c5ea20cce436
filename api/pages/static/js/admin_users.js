// Accounts: a list, one of them beside it, and what can be done with it.
import { get, send } from "./api.js";
import { ask, chooseArea, chooseRole, field, labelled, reveal, said } from "./admin_forms.js";
import { identityFields, identityGiven, identityOf } from "./admin_identity.js";
import { byId, draw, h, icon } from "./dom.js";
import { shortMoment, t } from "./i18n.js";
import { announce, bones, empty, failed, toast } from "./states.js";

const moment = (text) => (text ? shortMoment(text) : "–");
const roleName = ({ role, area }) => `${t(`roles.${role}`)} · ${area === "*" ? t("everywhere") : area}`;

export function createUsers() {
  const state = { q: "", users: null, next: null, error: null, chosen: null, tokens: [] };
  const list = byId("list");
  const detail = byId("detail");
  let asked = 0;
  let choosing = 0;

  async function load(path) {
    const turn = ++asked;
    try {
      const found = await (path ? get(path) : get("/api/users", { q: state.q, limit: 100 }));
      if (turn !== asked) return;
      state.users = path ? [...state.users, ...found.users] : found.users;
      state.next = found.next;
      state.error = null;
      announce(t("admin.count", { n: state.users.length }));
    } catch (error) {
      state.error = error;
    }
    drawRows();
  }

  async function choose(name) {
    const turn = ++choosing;
    try {
      const user = await get(`/api/users/${encodeURIComponent(name)}`);
      if (turn !== choosing) return;
      state.chosen = user;
      state.tokens = [];
      drawRows();
      drawDetail();
      if (user.elsewhere) return;
      const { tokens } = await get(`/api/users/${encodeURIComponent(name)}/tokens`);
      if (turn !== choosing) return;
      state.tokens = tokens;
      drawTokens(); // these alone: a role may be half chosen in the form above them
    } catch (error) {
      toast("hazard", said(error), { lasting: true });
    }
  }

  async function act(body, done) {
    const changed = await send("POST", `/api/users/${encodeURIComponent(state.chosen.name)}/actions`, body);
    toast("check", done);
    if (changed) showAfresh(changed.name);
    else {
      load();
      close();
    }
  }

  /** Not waited for: a dialog closes once its deed is done, or the page behind it would show the result and be inert. */
  async function showAfresh(name) {
    await load();
    await choose(name);
  }

  function close() {
    choosing++;
    state.chosen = null;
    detail.hidden = true;
    drawRows();
  }

  const reason = () => labelled(t("admin.reason"), field({ name: "reason", maxlength: 500 }));
  const given = (form, name) => form.get(name)?.trim() || null;
  const password = () =>
    labelled(
      t("admin.new_password"),
      field({ name: "password", type: "password", autocomplete: "new-password", minlength: 12, maxlength: 256 }),
    );

  const add = () =>
    ask(
      t("admin.add"),
      [
        labelled(t("admin.name"), field({ name: "name", required: true, maxlength: 64, pattern: "[A-Za-z0-9._@\\-]+" })),
        labelled(t("admin.display_name"), field({ name: "display_name", maxlength: 200 })),
        labelled(t("admin.role"), chooseRole()),
        labelled(t("admin.area"), chooseArea()),
        password(),
      ],
      t("admin.add"),
      async (form) => {
        const user = await send("POST", "/api/users", {
          name: given(form, "name"),
          display_name: given(form, "display_name") ?? "",
          roles: [{ role: form.get("role"), area: given(form, "area") }],
          password: form.get("password") || null,
        });
        toast("check", t("admin.added", { name: user.name }));
        showAfresh(user.name);
      },
    );

  const confirm = (action, title, label, done, more = [], body = () => ({})) =>
    ask(
      title,
      [h("p", { class: "mid" }, `${state.chosen.display_name} · ${state.chosen.name}`), more, reason()],
      label,
      (form) => act({ action, reason: given(form, "reason"), ...body(form) }, done),
      ["disable", "revoke", "role_remove", "identity_unbind"].includes(action),
    );

  function removeRole(held) {
    const title = `${t("admin.role_remove")}: ${roleName(held)}`;
    confirm("role_remove", title, t("admin.role_remove"), t("admin.saved"), [], () => held);
  }

  const machine = () =>
    ask(t("admin.machine"), labelled(t("admin.label"), field({ name: "label", required: true, maxlength: 100 })), t("admin.issue"), async (form) => {
      const name = state.chosen.name;
      const made = await send("POST", `/api/users/${encodeURIComponent(name)}/tokens`, { label: given(form, "label") });
      await choose(name);
      reveal(t("admin.machine"), t("admin.once"), made.token);
    });

  function row(user) {
    const chosen = state.chosen?.name === user.name;
    return h(
      "tr",
      { "aria-selected": String(chosen) },
      h(
        "td",
        {},
        h("button", { type: "button", class: "name", "data-key": user.name, onclick: () => choose(user.name) }, user.display_name),
        h("div", { class: "code dim" }, user.name),
      ),
      h(
        "td",
        {},
        h(
          "div",
          { class: "tags" },
          user.roles.map((held) => h("span", { class: "tag" }, roleName(held))),
          user.elsewhere ? h("span", { class: "tag" }, t("admin.elsewhere")) : null,
        ),
      ),
      h("td", {}, moment(user.signed_in_at)),
      h(
        "td",
        {},
        user.disabled_at
          ? h("span", { class: "tag late" }, t("admin.disabled"))
          : h("span", { class: "tag done" }, t("admin.enabled")),
      ),
    );
  }

  function drawRows() {
    const head = ["admin.account", "admin.roles", "admin.signed_in", "admin.state"];
    const heads = h("tr", {}, head.map((key) => h("th", { scope: "col" }, t(key))));
    let content;
    if (!state.users) content = state.error ? failed("admin.users", state.error, () => load()) : bones(8);
    else if (!state.users.length) content = empty("user", t("admin.none"), t("admin.none_note"));
    else content = h("table", {}, h("thead", {}, heads), h("tbody", {}, state.users.map(row)));
    draw(
      list.querySelector(".scroll"),
      content,
      state.next
        ? h("p", { class: "more" }, h("button", { class: "button", type: "button", onclick: () => load(state.next) }, t("admin.more")))
        : null,
    );
  }

  function tokenRow(one) {
    const over = one.revoked_at || (one.expires_at && new Date(one.expires_at) < new Date());
    return h(
      "li",
      {},
      h(
        "span",
        {},
        [t(`admin.kind_${one.kind}`), one.label].filter(Boolean).join(" · "),
        h("div", { class: "dim" }, `${moment(one.issued_at)}${one.expires_at ? "" : ` · ${t("admin.endless")}`}`),
      ),
      over
        ? h("span", { class: "tag" }, t(one.revoked_at ? "admin.revoked" : "admin.expired"))
        : h(
            "button",
            {
              type: "button",
              class: "round",
              "aria-label": `${t("admin.revoke_one")} ${one.label || one.id}`,
              title: t("admin.revoke_one"),
              onclick: () => confirm("revoke", t("admin.revoke_one"), t("admin.revoke_one"), t("admin.saved"), [], () => ({ token: one.id })),
            },
            icon("close"),
          ),
    );
  }

  function roles(user) {
    const held = user.roles.map((one) =>
      h(
        "li",
        {},
        h("span", {}, roleName(one)),
        h(
          "button",
          {
            type: "button",
            class: "round",
            "aria-label": `${t("admin.role_remove")} ${roleName(one)}`,
            title: t("admin.role_remove"),
            onclick: () => removeRole(one),
          },
          icon("close"),
        ),
      ),
    );
    const submit = async (event) => {
      event.preventDefault();
      const form = new FormData(event.target);
      try {
        await act({ action: "role_add", role: form.get("role"), area: given(form, "area") }, t("admin.saved"));
      } catch (error) {
        toast("hazard", said(error), { lasting: true });
      }
    };
    return [
      h("h3", {}, t("admin.roles")),
      h("ul", { class: "held" }, held),
      h(
        "form",
        { class: "line", onsubmit: submit },
        labelled(t("admin.role"), chooseRole()),
        labelled(t("admin.area"), chooseArea()),
        h("button", { type: "submit", class: "button" }, t("admin.role_add")),
      ),
    ];
  }

  function buttons(user) {
    const button = (key, action, danger) =>
      h("button", { type: "button", class: danger ? "button danger" : "button", "data-key": key, onclick: action }, t(key));
    return h(
      "div",
      { class: "buttons" },
      button("admin.set_password", () =>
        confirm("password", t("admin.set_password"), t("admin.save"), t("admin.saved"), password(), (form) => ({ password: form.get("password") })),
      ),
      user.identity
        ? button("admin.identity_unbind", () => confirm("identity_unbind", t("admin.identity_unbind"), t("admin.identity_unbind"), t("admin.saved")), true)
        : user.provider
          ? button("admin.identity_bind", () =>
              confirm("identity_bind", t("admin.identity_bind"), t("admin.identity_bind"), t("admin.saved"), identityFields(), identityGiven),
            )
          : null,
      user.roles.every((one) => one.role === "source") ? button("admin.machine", machine) : null,
      button("admin.revoke", () => confirm("revoke", t("admin.revoke"), t("admin.revoke"), t("admin.saved")), true),
      user.disabled_at
        ? button("admin.enable", () => confirm("enable", t("admin.enable"), t("admin.enable"), t("admin.saved")))
        : button("admin.disable", () => confirm("disable", t("admin.disable"), t("admin.disable"), t("admin.saved")), true),
    );
  }

  function drawDetail() {
    const user = state.chosen;
    detail.hidden = !user;
    if (!user) return;
    const facts = [
      ["admin.signed_in", moment(user.signed_in_at)],
      ["admin.created", moment(user.created_at)],
      ["admin.source", user.source],
      ["admin.identity", user.elsewhere ? null : identityOf(user)],
    ].filter(([, value]) => value);
    draw(
      detail,
      h(
        "div",
        { class: "top" },
        h("div", {}, h("h2", {}, user.display_name), h("div", { class: "code dim" }, user.name)),
        h("button", { type: "button", class: "round", "aria-label": t("admin.close"), onclick: close }, icon("close")),
      ),
      user.disabled_at ? h("p", { class: "banner bad" }, icon("lock"), t("admin.disabled_since", { time: moment(user.disabled_at) })) : null,
      user.locked ? h("p", { class: "banner warn" }, icon("lock"), t("admin.locked")) : null,
      h("dl", { class: "facts" }, facts.map(([key, value]) => [h("dt", {}, t(key)), h("dd", {}, value)])),
      h("section", {}, roles(user)),
      user.elsewhere ? h("p", { class: "banner info" }, icon("info"), t("admin.elsewhere_note")) : buttons(user),
      h("section", { id: "tokens" }),
    );
    drawTokens();
  }

  function drawTokens() {
    const place = byId("tokens");
    place.hidden = !state.tokens.length;
    draw(place, h("h3", {}, t("admin.tokens")), h("ul", { class: "held" }, state.tokens.slice(0, 20).map(tokenRow)));
  }

  function drawAll() {
    const search = field({ type: "search", value: state.q, "data-key": "q", "aria-label": t("admin.search"), placeholder: t("admin.search") });
    let waiting = 0;
    search.addEventListener("input", () => {
      clearTimeout(waiting);
      waiting = setTimeout(() => {
        state.q = search.value.trim();
        load();
      }, 250);
    });
    draw(
      list,
      h("div", { class: "filters" }, search, h("span", { class: "grow" }), h("button", { type: "button", class: "button primary", "data-key": "add", onclick: add }, icon("plus"), t("admin.add"))),
      h("div", { class: "scroll" }),
    );
    drawRows();
    drawDetail();
  }

  drawAll();
  load();
  return {
    draw: drawAll,
    refresh: async () => {
      await load();
      if (state.chosen) await choose(state.chosen.name);
    },
  };
}
