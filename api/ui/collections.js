// Knows the collections: fills the chooser at the top, makes new ones and deletes old ones.

import { call, inCollection } from "./api.js";
import { announce, ask, at, h } from "./dom.js";
import { choose, current } from "./session.js";
import { T } from "./text.js";

let known = [];

/** What was last listed: `[{ name, documents, … }]`. */
export const all = () => known;

/** Lists them anew and fills the chooser; the chosen one stays chosen while it is there. */
export async function refresh() {
  known = (await call("GET", "/v1/collections")).collections;
  const names = known.map(({ name }) => name);
  // `default` is made with its first document.
  if (!names.includes("default")) names.unshift("default");
  if (!names.includes(current())) choose(known.find(({ documents }) => documents)?.name ?? "default");
  const options = names.map((name) => h("option", { value: name, selected: name === current() }, name));
  at("collection").replaceChildren(...options);
  return known;
}

/** Makes a collection if there is none of this name. */
export async function ensure(name) {
  try {
    await call("POST", "/v1/collections", { name });
  } catch (error) {
    if (error.code !== "conflict") throw error;
  }
}

/** Asks for a name and makes a collection; resolves to the name, or null. */
export async function create() {
  const given = await ask({
    title: T.library.newCollection, action: T.library.make,
    fields: [{ name: "name", label: T.library.newName, hint: T.library.newHint, pattern: "[a-z0-9][a-z0-9_\\-]{0,63}", maxLength: 64 }],
  });
  if (!given) return null;
  await call("POST", "/v1/collections", { name: given.name });
  choose(given.name);
  await refresh();
  return given.name;
}

/** Asks and deletes a collection; resolves to whether it is gone. */
export async function remove(name) {
  const documents = known.find((one) => one.name === name)?.documents ?? 0;
  const sure = await ask({ title: T.library.removeCollectionTitle(name), body: T.library.removeCollectionBody(documents), action: T.library.removeCollection, tone: "bad" });
  if (!sure) return false;
  await call("DELETE", inCollection(name));
  await refresh();
  announce(T.library.collectionGone(name));
  return true;
}
