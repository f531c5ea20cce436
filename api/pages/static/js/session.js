// The session is over: the password is asked for in place, and the view stays as it is.
import { h, icon } from "./dom.js";
import { t } from "./i18n.js";

const parsed = async (address) => {
  const answer = await fetch(address, { credentials: "same-origin" });
  return new DOMParser().parseFromString(await answer.text(), "text/html");
};

/** Signs in by the form of /login; returns whether it worked. */
async function signIn(username, password) {
  const form = await parsed("/login");
  const csrf = form.querySelector("input[name=csrf]")?.value ?? "";
  const body = new URLSearchParams({ username, password, csrf, next: "/" });
  const answer = await fetch("/login", { method: "POST", body, credentials: "same-origin", redirect: "manual" });
  if (answer.type !== "opaqueredirect" && !answer.redirected) return false;
  const fresh = (await parsed("/")).querySelector('meta[name="csrf"]')?.content;
  if (fresh) document.querySelector('meta[name="csrf"]').content = fresh;
  return true;
}

/** Asks for the password in a dialog, once; `again()` runs when the session is back. */
export function askPassword(username, shown, again) {
  if (document.querySelector("dialog.expired")) return;
  const password = h("input", {
    class: "field",
    type: "password",
    autocomplete: "current-password",
    required: true,
    "aria-label": t("state.password"),
  });
  const wrong = h("p", { class: "banner bad", role: "alert", hidden: true }, icon("hazard"), t("state.wrong"));
  const elsewhere = `/login?next=${encodeURIComponent(location.pathname + location.search)}`;
  const submit = async (event) => {
    event.preventDefault();
    wrong.hidden = true;
    const fits = await signIn(username, password.value).catch(() => false);
    if (!fits) {
      wrong.hidden = false;
      password.select();
      return;
    }
    dialog.remove();
    again();
  };
  const dialog = h(
    "dialog",
    { class: "expired", "aria-label": t("state.expired") },
    h("h2", {}, t("state.expired")),
    h("p", { class: "mid" }, `${shown} · ${t("state.expired_note")}`),
    h(
      "form",
      { onsubmit: submit },
      wrong,
      password,
      h(
        "div",
        { class: "row" },
        h("a", { class: "button", href: elsewhere }, t("state.other")),
        h("button", { class: "button primary", type: "submit" }, t("state.continue")),
      ),
    ),
  );
  document.body.append(dialog);
  dialog.showModal();
}
