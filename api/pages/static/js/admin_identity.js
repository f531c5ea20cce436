// Which person of an external provider signs in by an account.
import { field, labelled } from "./admin_forms.js";
import { h } from "./dom.js";
import { shortMoment, t } from "./i18n.js";

/** In words for the account's facts; null where no provider is set and nobody was ever bound. */
export function identityOf(user) {
  const { identity, provider } = user;
  if (!identity) return provider ? t("admin.identity_none") : null;
  if (identity.subject) return h("span", { class: "code" }, identity.subject);
  return t("admin.identity_awaited", { name: identity.named, time: shortMoment(identity.awaited_until) });
}

/** What to fill in to bind somebody: their number there, or a name to await. */
export const identityFields = () => [
  labelled(t("admin.identity_subject"), field({ name: "subject", maxlength: 255 })),
  labelled(t("admin.identity_named"), field({ name: "named", maxlength: 255 })),
];

/** The form's two fields as the service takes them. */
export const identityGiven = (form) => {
  const [subject, named] = ["subject", "named"].map((name) => form.get(name).trim() || null);
  return { subject, named };
};
