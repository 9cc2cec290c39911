// The door: asks who it is, with a name and a password or with a key, until the server lets somebody in.

import { Problem, signIn, signInAs } from "./api.js";
import { h } from "./dom.js";
import { kept } from "./session.js";
import { T } from "./text.js";

// One question at a time, however many requests find the door locked.
let asking = null;

/** Resolves to whether somebody signed in. */
export function unlock() {
  asking ??= letIn().finally(() => {
    asking = null;
  });
  return asking;
}

async function letIn() {
  for (let said = T.signIn.body, user = ""; ; ) {
    const given = await question(said, user);
    if (!given) return false;
    user = given.user ?? "";
    try {
      const inside = given.key === undefined ? await signInAs(given.user, given.password) : await signIn(given.key.trim());
      if (inside) return true;
      said = given.key === undefined ? T.signIn.wrong : T.signIn.again;
    } catch (problem) {
      // Too many attempts, or a server that is away: another try may do.
      if (!(problem instanceof Problem)) throw problem;
      said = problem.message;
    }
  }
}

/** The dialog, with the name that was given before: `{ user, password }`, `{ key }`, or null if nobody wants to. */
function question(said, user) {
  return new Promise((resolve) => {
    const field = (name, label, type, autocomplete) => {
      const input = h("input", { type, name, id: `field-${name}`, autocomplete, autocapitalize: "none", spellcheck: "false", required: true });
      return h("p", {}, h("label", { for: input.id }, label), input);
    };
    // A field that is not asked for is disabled: it is neither required nor sent.
    const names = h("fieldset", { class: "plain" }, field("user", T.signIn.name, "text", "username"), field("password", T.signIn.password, "password", "current-password"));
    const keys = h("fieldset", { class: "plain" }, field("key", T.signIn.key, "password", "off"));
    const other = h("button", { type: "button", class: "text", onclick: () => turn(kept.read("door") !== "name") });
    const turn = (byName, look = true) => {
      kept.write("door", byName ? "name" : "key");
      for (const [set, on] of [[names, byName], [keys, !byName]]) {
        set.disabled = !on;
        set.hidden = !on;
      }
      other.textContent = byName ? T.signIn.byKey : T.signIn.byName;
      if (look) (byName ? names : keys).querySelector("input").focus();
    };
    const form = h("form", { method: "dialog" },
      h("h2", { id: "dialog-title" }, T.signIn.title), h("p", { role: "status" }, said), names, keys, h("p", {}, other),
      h("p", { class: "acts" },
        h("button", { type: "button", class: "quiet", onclick: () => dialog.close() }, T.cancel),
        h("button", { class: "go" }, T.signIn.go)));
    const dialog = h("dialog", { class: "dialog", "aria-labelledby": "dialog-title" }, form);
    let result = null;
    form.addEventListener("submit", () => {
      result = Object.fromEntries(new FormData(form));
    });
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(result);
    });
    turn(kept.read("door") === "name", false);
    names.querySelector("input").value = user;
    document.body.append(dialog);
    dialog.showModal();
    const empty = (input) => !input.value;
    [...(names.disabled ? keys : names).querySelectorAll("input")].find(empty)?.focus();
  });
}
