// The Ask view: streams an answer, hangs its footnotes on the source, and says how it ended.

import { stream } from "./api.js";
import { checked, passages, plain, sentences, sources } from "./claims.js";
import { announce, at, h, say } from "./dom.js";
import { current } from "./session.js";
import { open } from "./source.js";
import { T } from "./text.js";

let running = null;

/** Builds the view into its element. */
export function start(view) {
  view.append(
    h("h1", { class: "unseen" }, T.ask.title),
    h("form", { id: "ask-form", class: "line", role: "search" },
      h("label", { class: "unseen", for: "question" }, T.ask.label),
      h("input", { id: "question", type: "text", autocomplete: "off", placeholder: T.ask.placeholder, required: true, maxLength: 2000 }),
      h("button", { class: "go", id: "ask-go" }, T.ask.go)),
    h("div", { id: "ask-status", class: "status", role: "status" }, T.ask.idle),
    h("div", { id: "result" }));
  at("ask-form").addEventListener("submit", (event) => {
    event.preventDefault();
    if (running) running.abort();
    else put(at("question").value.trim());
  });
}

/** Asks a question as if it had been typed. */
export async function put(question) {
  if (!question || running) return;
  at("question").value = question;
  const sheet = new Sheet(current(), question);
  running = new AbortController();
  const button = at("ask-go");
  button.textContent = T.ask.stop;
  button.classList.add("stop");
  at("result").replaceChildren(sheet.box);
  say(at("ask-status"), T.ask.searching);
  try {
    let ended = false;
    for await (const { name, data } of stream("/v1/answers", { collection: sheet.collection, question, stream: true }, running.signal)) {
      ended ||= sheet.take(name, data);
    }
    if (!ended) say(at("ask-status"), T.ask.broken, "bad");
  } catch (error) {
    if (error.name === "AbortError") say(at("ask-status"), sheet.answer ? T.ask.stopped : T.ask.stoppedEmpty, "warn");
    else say(at("ask-status"), error.message, "bad");
  } finally {
    sheet.stop();
    button.textContent = T.ask.go;
    button.classList.remove("stop");
    running = null;
  }
}

// One question with what came of it.
class Sheet {
  constructor(collection, question) {
    Object.assign(this, { collection, question, answer: "", citations: [], claims: [], warnings: [], short_answer: null });
    this.text = h("article", { class: "answer working", "aria-busy": "true", "aria-label": T.ask.title });
    this.foot = h("ol", { class: "footnotes" });
    this.below = h("div", { class: "below" });
    this.box = h("div", { class: "sheet-of-answer" }, h("p", { class: "asked" }, question), this.text, this.foot, this.below);
    this.open = (place, button) => open(collection, place, button);
  }

  /** Takes an event; true if it was the last. */
  take(name, data) {
    switch (name) {
      case "retrieval":
        say(at("ask-status"), T.ask.reading(data.passages.length));
        return false;
      case "token":
        this.answer += data.text;
        this.render();
        return false;
      case "citation":
        this.citations.push(data);
        this.render();
        return false;
      case "warning":
        this.warnings.push(data.message);
        return false;
      case "done":
        Object.assign(this, data, { warnings: data.warnings.map(({ message }) => message) });
        this.render();
        this.finish(data);
        return true;
      case "refused":
        this.refuse(data);
        return true;
      case "error":
        say(at("ask-status"), data.detail ?? T.ask.failed, "bad");
        return true;
      default:
        return false; // a newer server may say more
    }
  }

  render() {
    this.text.replaceChildren(...sentences(this, this.open));
    this.foot.replaceChildren(...sources(this.citations, this.open));
  }

  finish(data) {
    const warnings = [...(data.complete ? [] : [T.ask.incomplete]), ...this.warnings, ...data.degraded.map(({ leg, reason }) => T.ask.degraded(leg, reason))];
    const by = data.model ? T.ask.writtenBy(data.model) : T.ask.extractive;
    say(at("ask-status"), warnings.join(" ") || T.from([by, T.ms(data.timings.total)]), warnings.length ? "warn" : "");
    announce(T.ask.answered(data.citations.length));
    this.below.append(
      h("p", { class: "acts" }, this.copyButton()),
      checked(data.claims) ?? "",
      h("details", { class: "fold" }, h("summary", {}, T.ask.read(data.passages.length)), passages(data.passages, this.open)));
  }

  refuse(data) {
    this.text.replaceChildren(h("h2", {}, T.ask.refused), h("p", {}, data.answer), data.reason ? h("p", { class: "faint" }, T.ask.because(data.reason)) : "");
    this.text.classList.add("refusal");
    this.foot.replaceChildren();
    const dropped = checked(data.claims);
    say(at("ask-status"), data.warnings.map(({ message }) => message).join(" "), "warn");
    announce(data.answer);
    this.below.append(dropped ?? "",
      data.passages.length ? h("section", {}, h("h2", {}, T.ask.foundAnyway), passages(data.passages, this.open)) : h("p", { class: "faint" }, T.ask.foundNothing));
  }

  copyButton() {
    const button = h("button", { type: "button", class: "quiet", onclick: async () => {
      try {
        await navigator.clipboard.writeText(plain(this));
        button.textContent = T.ask.copied;
        announce(T.ask.copied);
      } catch {
        say(at("ask-status"), T.ask.copyFailed, "warn");
      }
      setTimeout(() => (button.textContent = T.ask.copy), 2000);
    } }, T.ask.copy);
    return button;
  }

  stop() {
    this.text.classList.remove("working");
    this.text.setAttribute("aria-busy", "false");
    if (!this.text.hasChildNodes()) this.text.remove();
  }
}
