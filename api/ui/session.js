// What this tab remembers: the collection that is looked at, the key that was given, and how the page should look.

const listeners = new Set();
let collection = read(localStorage, "wellspring.collection") ?? "default";
let key = read(sessionStorage, "wellspring.key");

// A browser may forbid storage; the page then forgets, and works.
function read(storage, name) {
  try {
    return storage.getItem(name);
  } catch {
    return null;
  }
}

function write(storage, name, value) {
  try {
    if (value === null) storage.removeItem(name);
    else storage.setItem(name, value);
  } catch {
    // Nothing depends on it.
  }
}

/** The collection that is asked, searched and shown. */
export const current = () => collection;

/** Chooses another one and tells everybody who wants to know. */
export function choose(name) {
  if (name === collection) return;
  collection = name;
  write(localStorage, "wellspring.collection", name);
  for (const listener of listeners) listener(name);
}

/** Calls `listener` with the name whenever another collection is chosen. */
export const onChoice = (listener) => listeners.add(listener);

/** The bearer token, if one was given; kept until the tab is closed. */
export const token = () => key;

/** Keeps a token, or forgets it with null. */
export function signIn(value) {
  key = value;
  write(sessionStorage, "wellspring.key", value);
}

/** "auto", "light" or "dark". */
export const theme = () => read(localStorage, "wellspring.theme") ?? "auto";

/** Keeps and applies a theme. */
export function setTheme(name) {
  write(localStorage, "wellspring.theme", name === "auto" ? null : name);
  if (name === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = name;
}
