// Other settings of chunking, tried on one document: how it would be cut is shown before anything is decided.

import { call, ofDocument } from "./api.js";
import * as collections from "./collections.js";
import { announce, ask, h, say } from "./dom.js";
import { choose } from "./session.js";
import { T } from "./text.js";

// Members of the configuration's section `chunk` that are worth a field; the command line has all of them.
const NUMBERS = ["target_tokens", "overlap_tokens", "min_tokens"];

/** A form that unfolds; `show(preview)` draws what came back, `show(null)` what is stored. */
export function form(collection, about, stored, show) {
  const settings = collections.all().find(({ name }) => name === collection)?.settings?.chunk ?? {};
  const status = h("p", { class: "status", role: "status" });
  const make = h("button", { type: "button", class: "quiet", hidden: true, onclick: () => makeOne(collection, wanted(), status) }, T.recut.make);
  const back = h("button", { type: "button", class: "quiet", hidden: true, onclick: () => put(null) }, T.recut.back);
  const numbers = NUMBERS.map((name) => h("input", { type: "number", id: `cut-${name}`, name, min: 0, max: 8192, value: settings[name] ?? "", required: true }));
  const boundaries = h("select", { id: "cut-boundaries", name: "boundaries" },
    ["structure", "semantic"].map((value) => h("option", { value, selected: (settings.boundaries ?? "structure") === value }, T.recut.boundaries[value])));
  const wanted = () => ({ ...Object.fromEntries(numbers.map(({ name, value }) => [name, Number(value)])), boundaries: boundaries.value });

  function put(preview) {
    make.hidden = back.hidden = !preview;
    show(preview);
    say(status, preview ? T.recut.compared(stored, preview.totals, preview.max_tokens) : "", "");
  }

  const go = h("button", { class: "go" }, T.recut.go);
  const onsubmit = async (event) => {
    event.preventDefault();
    go.disabled = true;
    say(status, T.recut.busy);
    try {
      put(await call("POST", ofDocument(collection, about.id, "/chunks/preview"), { chunk: wanted() }));
      announce(status.textContent);
    } catch (error) {
      say(status, error.message, "bad");
    } finally {
      go.disabled = false;
    }
  };
  return h("details", { class: "fold recut" }, h("summary", {}, T.recut.title), h("p", { class: "faint" }, T.recut.lead),
    h("form", { class: "options", onsubmit },
      numbers.map((input) => h("label", {}, h("span", {}, T.recut.fields[input.name]), input)),
      h("label", {}, h("span", {}, T.recut.where), boundaries), go, back, make),
    status);
}

// A collection's settings are those it was made with, so other ones mean another collection.
async function makeOne(from, chunk, status) {
  const given = await ask({
    title: T.recut.makeTitle, body: T.recut.makeBody, action: T.library.make,
    fields: [
      { name: "name", label: T.library.newName, hint: T.library.newHint, pattern: "[a-z0-9][a-z0-9_\\-]{0,63}", maxLength: 64 },
      { name: "documents", label: T.recut.documents, options: Object.entries(T.recut.bring(from)), value: "copy" },
    ],
  });
  if (!given) return;
  try {
    await call("POST", "/v1/collections", { name: given.name, chunk });
    await collections.refresh();
    choose(given.name);
    location.hash = "#/library";
    announce(T.recut.made(given.name));
    if (given.documents === "copy") {
      // The library holds this view, so it is fetched when it is needed.
      const { copy } = await import("./library.js");
      await copy(from, given.name);
    }
  } catch (error) {
    say(status, error.message, "bad");
  }
}
