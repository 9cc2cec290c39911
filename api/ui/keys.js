// Keys: who may do what, made here with the secret shown once, and revoked here.

import { call } from "./api.js";
import * as collections from "./collections.js";
import { announce, ask, h, say } from "./dom.js";
import { table } from "./table.js";
import { T } from "./text.js";

const DAY = 86_400;
const names = (text) => [...new Set(text.split(/[\s,;]+/).filter(Boolean))];

/** The section; keys are listed by tenant. `changed()` is called when one was made or revoked. */
export function section(changed) {
  const status = h("p", { class: "status", role: "status" });
  const body = h("div", {});
  const secret = h("div", { class: "card secret", hidden: true, role: "alert" });
  const look = async () => {
    try {
      const { keys } = await call("GET", "/v1/keys?limit=1000");
      const tenants = new Set(keys.map(({ tenant }) => tenant));
      body.replaceChildren(keys.length
        ? h("div", {}, h("p", { class: "faint" }, T.from([T.plural(keys.length, "key"), T.plural(tenants.size, "tenant")])), table(T.keys.title, T.keys.columns, keys.map((key) => row(key, () => again(), status))))
        : h("p", { class: "faint" }, T.keys.none));
      say(status, "");
    } catch (error) {
      body.replaceChildren();
      say(status, error.code === "forbidden" ? T.admin.forbidden : error.message, "bad");
    }
  };
  look();
  const again = () => {
    look();
    changed();
  };
  return h("section", {}, h("header", { class: "list-head" }, h("h2", {}, T.keys.title), h("button", { type: "button", class: "quiet", onclick: () => make(again, secret, status) }, T.keys.make)), secret, status, body);
}

function row(key, look, status) {
  const ended = key.revoked_at || (key.expires_at && new Date(key.expires_at) < new Date());
  const revoke = async () => {
    if (!(await ask({ title: T.keys.revokeTitle(key.name), body: T.keys.revokeBody, action: T.keys.revoke, tone: "bad" }))) return;
    try {
      await call("DELETE", `/v1/keys/${key.id}`);
      announce(T.keys.revoked(key.name));
      look();
    } catch (error) {
      say(status, error.message, "bad");
    }
  };
  return h("tr", { class: ended ? "ended" : "" },
    h("th", { scope: "row" }, key.name, h("small", { class: "below-cell" }, T.from([key.id, key.tenant, T.when(key.created_at)]))),
    h("td", {}, key.rights.join(", ")),
    h("td", {}, T.from([key.collections ? key.collections.join(", ") : T.keys.allCollections, key.principals ? key.principals.join(", ") || T.keys.openOnly : T.keys.allDocuments])),
    h("td", {}, key.revoked_at ? T.keys.revokedAt(T.when(key.revoked_at)) : key.expires_at ? T.keys.until(T.when(key.expires_at)) : T.keys.always),
    h("td", { class: "acts" }, ended ? null : h("button", { type: "button", class: "quiet", "aria-label": `${T.keys.revoke}: ${key.name}`, onclick: revoke }, T.keys.revoke)));
}

async function make(look, secret, status) {
  const given = await ask({
    title: T.keys.makeTitle, body: T.keys.makeBody, action: T.keys.make,
    fields: [
      { name: "name", label: T.keys.name, maxLength: 200 },
      { name: "rights", label: T.keys.rights, options: Object.entries(T.keys.rightsOf), value: "read" },
      { name: "collections", label: T.keys.collections, hint: T.keys.collectionsHint(collections.all().map(({ name }) => name)), required: false },
      { name: "seen", label: T.keys.seen, options: [["all", T.keys.allDocuments], ["these", T.keys.listed]], value: "all" },
      { name: "principals", label: T.access.principals, hint: T.keys.principalsHint, required: false },
      { name: "days", label: T.keys.days, type: "number", min: 1, max: 36500, hint: T.keys.daysHint, required: false },
      { name: "tenant", label: T.keys.tenant, hint: T.keys.tenantHint, required: false },
    ],
  });
  if (!given) return;
  const only = names(given.collections);
  const wanted = {
    name: given.name, rights: given.rights.split("+"),
    ...(only.length ? { collections: only } : {}), ...(given.seen === "these" ? { principals: names(given.principals) } : {}),
    ...(given.days ? { expires_in_seconds: Number(given.days) * DAY } : {}), ...(given.tenant.trim() ? { tenant: given.tenant.trim() } : {}),
  };
  try {
    const { key, token } = await call("POST", "/v1/keys", wanted);
    show(secret, key, token);
    look();
  } catch (error) {
    say(status, error.message, "bad");
  }
}

// The only time that anybody sees it: it stays until it is put away, and nothing keeps it.
function show(box, key, token) {
  const field = h("input", { type: "text", readOnly: true, value: token, "aria-label": T.keys.secret, class: "token", onfocus: ({ target }) => target.select() });
  const copy = h("button", { type: "button", class: "go", onclick: async () => {
    field.select();
    await navigator.clipboard.writeText(token).then(() => (copy.textContent = T.ask.copied), () => (copy.textContent = T.ask.copyFailed));
  } }, T.keys.copy);
  const away = h("button", { type: "button", class: "quiet", onclick: () => {
    box.replaceChildren();
    box.hidden = true;
  } }, T.keys.away);
  box.replaceChildren(h("h3", {}, T.keys.made(key.name)), h("p", {}, T.keys.once), h("p", { class: "line" }, field), h("p", { class: "acts" }, copy, away));
  box.hidden = false;
  field.focus();
  field.scrollLeft = 0;
}
