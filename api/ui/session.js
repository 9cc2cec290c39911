// What this browser remembers: the collection that is looked at, whether somebody signed in, and how the page should look.
// Never the key: that is in a cookie which no script reads.

const listeners = new Set();
let collection = read(localStorage, "wellspring.collection") ?? "default";
let inside = read(localStorage, "wellspring.signed-in") !== null;

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

/** Whether somebody signed in here and has not signed out. */
export const isSignedIn = () => inside;

/** Remembers it. */
export function setSignedIn(yes) {
  inside = yes;
  write(localStorage, "wellspring.signed-in", yes ? "yes" : null);
}

/** The user who signed in with a password, as `{ name, until }`: `until` is when its access token ends, in milliseconds since
 * 1970. Null for whoever signed in with a key, or did not. Other tabs of this browser see the same. */
export const account = () => kept.read("account");

/** Remembers it. */
export const setAccount = (who) => kept.write("account", who);

/** Small things kept by name, as JSON; null where there is nothing, or nothing that can be read. */
export const kept = {
  read(name) {
    try {
      return JSON.parse(read(localStorage, `wellspring.${name}`));
    } catch {
      return null;
    }
  },
  write: (name, value) => write(localStorage, `wellspring.${name}`, value === null ? null : JSON.stringify(value)),
};

/** "auto", "light" or "dark". */
export const theme = () => read(localStorage, "wellspring.theme") ?? "auto";

/** Keeps and applies a theme. */
export function setTheme(name) {
  write(localStorage, "wellspring.theme", name === "auto" ? null : name);
  if (name === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = name;
}
