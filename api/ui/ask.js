// The Ask view: streams the answers of a conversation, hangs their footnotes on the source, and says how each ended.

import { stream } from "./api.js";
import { checked, conflicts, passages, plain, sentences, sources } from "./claims.js";
import { announce, at, h, say } from "./dom.js";
import { onChoice, current } from "./session.js";
import { open } from "./source.js";
import * as talks from "./talks.js";
import { T } from "./text.js";
import { thumbs } from "./thumbs.js";

let running = null;

/** Builds the view into its element. */
export function start(view) {
  view.append(
    h("h1", { class: "unseen" }, T.ask.title),
    h("form", { id: "ask-form", class: "line", role: "search" },
      h("label", { class: "unseen", for: "question" }, T.ask.label),
      h("input", { id: "question", type: "text", autocomplete: "off", placeholder: T.ask.placeholder, required: true, maxLength: 2000 }),
      h("button", { class: "go", id: "ask-go" }, T.ask.go)),
    h("div", { class: "between" },
      h("div", { id: "ask-status", class: "status", role: "status" }, T.ask.idle),
      h("button", { id: "ask-new", type: "button", class: "quiet", hidden: true, onclick: () => begin() }, T.talk.begin)),
    h("div", { id: "result" }),
    talks.list(recall));
  at("ask-form").addEventListener("submit", (event) => {
    event.preventDefault();
    if (running) running.abort();
    else put(at("question").value.trim());
  });
  onChoice(() => begin(true));
}

/** Forgets what was said: the next question stands alone. */
function begin(quietly) {
  running?.abort();
  talks.leave();
  at("result").replaceChildren();
  at("ask-new").hidden = true;
  say(at("ask-status"), T.ask.idle);
  at("question").placeholder = T.ask.placeholder;
  if (quietly) return;
  at("question").value = "";
  at("question").focus();
}

/** Asks a question as if it had been typed. */
export async function put(question) {
  if (!question || running) return;
  at("question").value = question;
  const sheet = new Sheet(current(), question);
  running = new AbortController();
  const { signal } = running;
  const button = at("ask-go");
  button.textContent = T.ask.stop;
  button.classList.add("stop");
  // The newest stands right under the question, where it is looked for; nothing has to scroll.
  at("result").prepend(sheet.box);
  say(at("ask-status"), T.ask.searching);
  try {
    let ended = false;
    const { path, body } = await talks.place(sheet.collection, question);
    for await (const { name, data } of stream(path, { ...body, question, stream: true }, signal)) {
      ended ||= sheet.take(name, data);
    }
    if (!ended) say(at("ask-status"), T.ask.broken, "bad");
    else follow();
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

// The field is ready for what comes next: typing replaces what stands there.
function follow() {
  at("ask-new").hidden = false;
  at("question").placeholder = T.talk.follow;
  if (document.activeElement === at("question")) at("question").select();
}

// Shows a conversation that was kept, the newest answer first.
function recall({ collection, messages }) {
  at("result").replaceChildren(...messages.map(({ question, standalone, answer }) => {
    const sheet = new Sheet(collection, question);
    sheet.again({ ...answer, standalone });
    return sheet.box;
  }).reverse());
  say(at("ask-status"), T.talk.recalled(messages.length));
  at("question").value = "";
  follow();
  at("question").focus();
}

// One question with what came of it.
class Sheet {
  constructor(collection, question) {
    Object.assign(this, { collection, question, answer: "", citations: [], claims: [], warnings: [], short_answer: null });
    this.understood = h("p", { class: "understood", hidden: true });
    this.text = h("article", { class: "answer working", "aria-busy": "true", "aria-label": T.ask.title });
    this.foot = h("ol", { class: "footnotes" });
    this.below = h("div", { class: "below" });
    this.box = h("div", { class: "sheet-of-answer" }, h("p", { class: "asked" }, question), this.understood, this.text, this.foot, this.below);
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

  // How a follow-up was read: whoever sees it can say it otherwise.
  tell(standalone) {
    this.understood.hidden = !standalone;
    this.understood.textContent = standalone ? T.talk.understood(standalone) : "";
  }

  finish(data) {
    const warnings = [...(data.complete ? [] : [T.ask.incomplete]), ...this.warnings, ...data.degraded.map(({ leg, reason }) => T.ask.degraded(leg, reason))];
    const by = data.model ? T.ask.writtenBy(data.model) : T.ask.extractive;
    this.tell(data.standalone);
    say(at("ask-status"), warnings.map(T.ask.because).join(" ") || T.from([by, T.ms(data.timings.total)]), warnings.length ? "warn" : "");
    announce(T.ask.answered(data.citations.length));
    this.below.append(
      h("p", { class: "acts" }, this.copyButton(), thumbs(this)),
      conflicts(data.conflicts ?? [], data.passages, this.open) ?? "",
      checked(data.claims, data.confidence) ?? "",
      h("details", { class: "fold" }, h("summary", {}, T.ask.read(data.passages.length)), passages(data.passages, this.open, (chunk) => thumbs(this, chunk))));
  }

  refuse(data) {
    Object.assign(this, { passages: data.passages, citations: [] });
    this.refusal(data.answer, data.reason);
    this.tell(data.standalone);
    this.foot.replaceChildren();
    const dropped = checked(data.claims, data.confidence);
    say(at("ask-status"), data.warnings.map(({ message }) => T.ask.because(message)).join(" "), "warn");
    announce(data.answer);
    this.below.append(dropped ?? "",
      data.passages.length
        ? h("section", {}, h("h2", {}, T.ask.foundAnyway), passages(data.passages, this.open, (chunk) => thumbs(this, chunk)))
        : h("p", { class: "faint" }, T.ask.foundNothing));
  }

  refusal(words, reason) {
    this.text.replaceChildren(h("h2", {}, T.ask.refused), words ? h("p", {}, words) : "", reason ? h("p", { class: "faint" }, T.ask.because(reason)) : "");
    this.text.classList.add("refusal");
  }

  /** Shows an answer that was kept, as far as it may be seen now. */
  again(answer) {
    Object.assign(this, answer);
    this.tell(answer.standalone);
    if (answer.abstained) this.refusal("", answer.reason);
    else this.render();
    if (answer.withdrawn) this.below.append(h("p", { class: "warn" }, T.talk.withdrawn(answer.withdrawn)));
    this.stop();
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
