// Changes who may see a document: everybody of the tenant, or the principals on a list.

import { call, ofDocument } from "./api.js";
import { announce, ask } from "./dom.js";
import { T } from "./text.js";

const names = (text) => [...new Set(text.split(/[\s,;]+/).filter(Boolean))];

/** Who may see it, in words. */
export const inWords = (acl) => (acl ? acl.join(", ") || T.access.nobody : T.access.everybody);

/** Asks for a new list and sets it; resolves to `{ acl }`, or null if nothing was changed. */
export async function change(collection, { id, acl }) {
  const given = await ask({
    title: T.access.title, body: T.access.body, action: T.access.set,
    fields: [
      { name: "who", label: T.access.who, options: [["everybody", T.access.everybody], ["these", T.access.these]], value: acl ? "these" : "everybody" },
      { name: "principals", label: T.access.principals, hint: T.access.hint, value: (acl ?? []).join(", "), required: false },
    ],
  });
  if (!given) return null;
  const wanted = given.who === "everybody" ? null : names(given.principals);
  const set = await call("PUT", ofDocument(collection, id, "/acl"), { acl: wanted });
  announce(T.access.done(inWords(set.acl)));
  return set;
}
