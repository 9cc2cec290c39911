// The Library view: what is being added, the documents of the chosen collection, and the collections themselves.

import { bytes, call, inCollection, ofDocument } from "./api.js";
import * as collections from "./collections.js";
import { announce, ask, at, h, say } from "./dom.js";
import * as detail from "./document.js";
import { current, onChoice } from "./session.js";
import { close, forget, open } from "./source.js";
import { T } from "./text.js";
import { Uploads, chosen, dropped } from "./upload.js";

let next = null;
let turn = 0;
let uploads = null;

/** Builds the view into its element; `shown()` says whether it is on screen, `reveal()` brings it there. */
export function start(view, { reveal }) {
  uploads = new Uploads(async (collection) => {
    forget();
    await collections.refresh();
    if (collection === current()) list();
  });
  const input = (id, folder) => h("input", { id, type: "file", multiple: true, class: "unseen", webkitdirectory: folder, tabindex: -1, "aria-hidden": "true", onchange: ({ target }) => {
    take(chosen(target));
    target.value = "";
  } });
  view.append(
    h("h1", { class: "unseen" }, T.library.title),
    h("div", { id: "library-list" },
      h("div", { class: "drop" },
        h("strong", {}, T.library.drop),
        h("p", { class: "acts" },
          h("button", { type: "button", class: "go", onclick: () => at("files").click() }, T.library.choose),
          h("button", { type: "button", class: "quiet", onclick: () => at("folder").click() }, T.library.chooseFolder)),
        h("small", {}, T.library.kinds), input("files", false), input("folder", true)),
      uploads.box,
      h("header", { class: "list-head" }, h("h2", {}, T.library.inCollection), h("span", { id: "library-count", class: "faint" }),
        h("input", { id: "library-filter", type: "search", class: "small", "aria-label": T.library.filter, placeholder: T.library.filter, oninput: sift })),
      h("div", { id: "library-status", class: "status", role: "status" }),
      h("ul", { id: "documents", class: "documents", "aria-label": T.library.table }),
      h("button", { id: "more", type: "button", class: "quiet", hidden: true, onclick: () => list(next) }, T.library.more),
      h("header", { class: "list-head" }, h("h2", {}, T.library.collections), h("button", { type: "button", class: "quiet", onclick: make }, T.library.newCollection)),
      h("p", { id: "collections-status", class: "status bad", role: "alert" }),
      h("ul", { id: "collections", class: "documents" })),
    h("div", { id: "library-document", hidden: true }));
  dropping(reveal);
  onChoice(() => {
    close();
    forget();
    if (!at("view-library").hidden) show();
  });
}

/** Shows the list, or one document of it. */
export async function show(id) {
  at("library-list").hidden = Boolean(id);
  at("library-document").hidden = !id;
  if (id) return detail.show(at("library-document"), current(), id);
  await Promise.all([list(), theCollections(), uploads.resume(current()).catch(() => {})]);
}

/** Adds files to a collection; resolves to how each ended. */
export const add = (collection, files) => uploads.add(collection, files);

/** Adds the sample documents that the server brings along to a collection. */
export async function addSamples(collection, paths) {
  const files = await Promise.all(paths.map(async (path) => ({ path, file: new File([await bytes(`/ui/samples/${path}`)], path) })));
  return add(collection, files);
}

/** Adds every document of one collection to another, originals, ids, metadata and access lists; they are read and cut anew. */
export async function copy(from, to) {
  const files = [];
  let cursor = null;
  do {
    const page = await call("GET", inCollection(from, `/documents?${new URLSearchParams({ limit: "1000", ...(cursor ? { cursor } : {}) })}`));
    files.push(...page.documents.map(({ id, source, metadata, acl }) => ({
      path: source,
      file: async () => new File([await bytes(ofDocument(from, id, "/content"))], source),
      fields: { id, metadata: JSON.stringify(metadata), ...(acl ? { acl: JSON.stringify(acl) } : {}) },
    })));
    cursor = page.next;
  } while (cursor);
  return add(to, files);
}

function take({ files, more }) {
  if (more) say(at("library-status"), T.upload.tooMany, "warn");
  if (files.length) add(current(), files);
}

// Anywhere on the page: what is dropped goes to the chosen collection, and the library shows it.
function dropping(reveal) {
  const veil = at("veil");
  let depth = 0;
  const files = (event) => event.dataTransfer?.types.includes("Files");
  const over = (on) => {
    veil.hidden = !on;
    veil.textContent = on ? T.library.dropHere(current()) : "";
  };
  addEventListener("dragenter", (event) => files(event) && over(++depth > 0));
  addEventListener("dragleave", (event) => files(event) && over(--depth > 0));
  addEventListener("dragover", (event) => files(event) && event.preventDefault());
  addEventListener("drop", async (event) => {
    if (!files(event)) return;
    event.preventDefault();
    depth = 0;
    over(false);
    const found = dropped(event.dataTransfer);
    reveal();
    take(await found);
  });
}

async function list(cursor) {
  const mine = ++turn;
  const collection = current();
  if (!at("documents").hasChildNodes()) say(at("library-status"), T.library.loading);
  try {
    const query = new URLSearchParams({ limit: "100", ...(cursor ? { cursor } : {}) });
    const found = await call("GET", inCollection(collection, `/documents?${query}`));
    if (mine !== turn) return;
    const rows = found.documents.map((document) => row(collection, document));
    if (cursor) at("documents").append(...rows);
    else at("documents").replaceChildren(...rows);
    next = found.next;
    say(at("library-status"), at("documents").hasChildNodes() ? "" : T.library.empty);
  } catch (error) {
    if (mine !== turn) return;
    next = null;
    if (!cursor) at("documents").replaceChildren();
    const none = error.code === "not-found" && collection === "default";
    say(at("library-status"), none ? T.library.empty : error.message, none ? "" : "bad");
  }
  at("more").hidden = !next;
  const count = collections.all().find(({ name }) => name === collection)?.documents ?? 0;
  at("library-count").textContent = T.documents(count);
  sift();
}

function sift() {
  const wanted = at("library-filter").value.trim().toLowerCase();
  let left = 0;
  for (const one of at("documents").children) {
    one.hidden = Boolean(wanted) && !one.dataset.words.includes(wanted);
    left += one.hidden ? 0 : 1;
  }
  if (at("documents").hasChildNodes()) say(at("library-status"), left ? "" : T.library.noMatch);
}

function row(collection, document) {
  const name = document.title || document.source;
  const facts = T.from([document.source, document.pages && T.pages(document.pages), T.passages(document.chunks), T.size(document.bytes), document.version > 1 && T.version(document.version)]);
  const remove = h("button", { type: "button", class: "quiet", onclick: () => drop(collection, document, line, remove) }, T.library.remove);
  const line = h("li", {},
    h("div", {}, h("a", { class: "file", href: `#/library/${encodeURIComponent(document.id)}` }, name), h("div", { class: "meta" }, facts),
      document.warnings.length ? h("div", { class: "meta warn" }, document.warnings.join(" ")) : null),
    h("div", { class: "acts" },
      h("button", { type: "button", class: "quiet", onclick: (event) => open(collection, { ...document, document_id: document.id }, event.currentTarget) }, T.library.open),
      remove));
  line.dataset.words = `${name} ${document.source}`.toLowerCase();
  return line;
}

async function drop(collection, document, line, button) {
  const name = document.title || document.source;
  if (!(await ask({ title: T.library.removeTitle(name), body: T.library.removeBody, action: T.library.remove, tone: "bad" }))) return;
  button.disabled = true;
  button.textContent = T.library.removing;
  try {
    const { seq } = await call("DELETE", ofDocument(collection, document.id));
    const after = line.nextElementSibling ?? line.previousElementSibling;
    line.remove();
    close();
    forget();
    say(at("library-status"), T.from([T.library.gone(name), seq && T.library.seq(seq)]), "good");
    announce(T.library.gone(name));
    (after?.querySelector("a") ?? at("library-filter")).focus();
    await collections.refresh();
    at("library-count").textContent = T.documents(collections.all().find((one) => one.name === collection)?.documents ?? 0);
  } catch (error) {
    button.disabled = false;
    button.textContent = T.library.remove;
    say(at("library-status"), error.message, "bad");
  }
}

async function theCollections() {
  const found = await collections.refresh();
  at("collections").replaceChildren(...found.map(({ name, documents, chunks, model }) =>
    h("li", {},
      h("div", {}, h("span", { class: "file" }, name), name === current() ? h("span", { class: "badge" }, T.library.current) : null,
        h("div", { class: "meta" }, T.from([T.documents(documents), T.passages(chunks), model]))),
      h("div", { class: "acts" }, h("button", { type: "button", class: "quiet", "aria-label": `${T.library.removeCollection}: ${name}`, onclick: () => attempt(() => collections.remove(name)) }, T.library.remove)))));
}

const make = () => attempt(collections.create);

async function attempt(act) {
  at("collections-status").textContent = "";
  try {
    if (await act()) await show();
  } catch (error) {
    at("collections-status").textContent = error.message;
  }
}
