// The first-run page: leads from nothing to a first answer, with the reader's own documents or with a few samples.

import { call } from "./api.js";
import * as collections from "./collections.js";
import { at, h, say } from "./dom.js";
import { addSamples } from "./library.js";
import { choose } from "./session.js";
import { T } from "./text.js";

/** Shown in the Ask view as long as no collection holds a document; `ask(question)` puts a question. */
export async function start(box, ask) {
  const samples = await call("GET", "/ui/samples.json");
  const status = h("p", { class: "status", role: "status" });
  const button = h("button", { type: "button", class: "go", onclick: () => add(samples, button, status, box, ask) }, T.welcome.go);
  box.replaceChildren(
    h("h2", { class: "large" }, T.welcome.title),
    h("p", { class: "lead" }, T.welcome.lead),
    h("div", { class: "two" },
      h("section", { class: "card" }, h("h3", {}, T.welcome.ownTitle), h("p", {}, T.welcome.own), h("p", {}, h("a", { class: "quiet", href: "#/library" }, T.welcome.toLibrary))),
      h("section", { class: "card" }, h("h3", {}, T.welcome.sampleTitle), h("p", {}, T.welcome.sample(samples.files.length)), h("p", {}, button), status)));
}

async function add(samples, button, status, box, ask) {
  button.disabled = true;
  button.textContent = T.welcome.busy;
  let done = 0;
  const all = samples.files.length;
  say(status, T.welcome.adding(done, all));
  try {
    await collections.ensure(samples.collection);
    choose(samples.collection);
    // One promise per file would tell each as it ends; the library's rows do that. Here a count is enough.
    const watch = setInterval(async () => {
      try {
        done = (await call("GET", `/v1/collections/${samples.collection}`)).collection.documents;
        say(status, T.welcome.adding(Math.min(done, all), all));
      } catch {
        // The upload itself says what is wrong.
      }
    }, 700);
    const ends = await addSamples(samples.collection, samples.files).finally(() => clearInterval(watch));
    const bad = ends.find((state) => state !== "indexed" && state !== "unchanged");
    if (bad) throw new Error(T.upload.states[bad]);
    await collections.refresh();
    suggest(box, samples.questions, ask);
  } catch (error) {
    button.disabled = false;
    button.textContent = T.welcome.go;
    say(status, T.welcome.failed(error.message), "bad");
  }
}

/** Offers questions to ask. */
export function suggest(box, questions, ask) {
  box.replaceChildren(h("h2", {}, T.ask.tryAsking), h("p", { class: "faint" }, T.welcome.done),
    h("ul", { class: "suggestions" }, questions.map((question) => h("li", {}, h("button", { type: "button", class: "quiet", onclick: () => ask(question) }, question)))));
  at("question").focus();
}
