// One's own password: the old one, and the new one twice.
import { renew, send } from "./api.js";
import { ask, field, labelled } from "./admin_forms.js";
import { t } from "./i18n.js";
import { toast } from "./states.js";

const secret = (name, autocomplete) => field({ name, type: "password", autocomplete, required: true, maxlength: 256 });

export const changePassword = () =>
  ask(
    t("password.change"),
    [
      labelled(t("password.old"), secret("old", "current-password")),
      labelled(t("password.new"), secret("new", "new-password")),
      labelled(t("password.again"), secret("again", "new-password")),
    ],
    t("password.change"),
    async (form) => {
      if (form.get("new") !== form.get("again")) throw { code: "password_differs" };
      const said = { old: form.get("old"), new: form.get("new") };
      await renew(() => send("POST", "/api/me/password", said, { last: true }));
      toast("check", t("password.changed"));
    },
  );
