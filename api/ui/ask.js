// The question box: streams an answer and hangs its footnotes on the source.

import { at, make, say, stream } from "./net.js";
import { open } from "./source.js";

let running = null;

/** Wires the form; `collection()` names the collection asked. */
export function start(collection) {
  at("ask-form").addEventListener("submit", (event) => {
    event.preventDefault();
    if (running) running.abort();
    else ask(collection(), at("question").value.trim());
  });
}

async function ask(collection, question) {
  if (!question) return;
  const state = { text: "", citations: [], collection };
  const answer = at("answer");
  running = new AbortController();
  at("ask-go").textContent = "Stop";
  at("footnotes").replaceChildren();
  answer.replaceChildren();
  answer.hidden = true;
  answer.classList.add("working");
  say(at("ask-status"), "Searching…");
  const warnings = [];
  let ended = false;
  try {
    for await (const { name, data } of stream("/v1/answers", { collection, question, stream: true }, running.signal)) {
      switch (name) {
        case "retrieval":
          say(at("ask-status"), "Reading what was found…");
          break;
        case "token":
          state.text += data.text;
          answer.hidden = false;
          render(state);
          break;
        case "citation":
          state.citations.push(data);
          render(state);
          break;
        case "warning":
          warnings.push(data.message);
          break;
        case "usage":
          break;
        case "done":
          ended = true;
          state.text = data.answer;
          state.citations = data.citations;
          answer.hidden = false;
          render(state);
          say(at("ask-status"), warnings.join(" "), "warn");
          break;
        case "refused":
          ended = true;
          state.text = "";
          state.citations = [];
          answer.hidden = true;
          render(state);
          say(at("ask-status"), `${data.answer} (${data.reason})`, "warn");
          break;
        case "error":
          ended = true;
          say(at("ask-status"), data.detail ?? "The answer failed.", "bad");
          break;
      }
    }
    if (!ended) say(at("ask-status"), "The connection broke before the answer was whole.", "bad");
  } catch (error) {
    if (error.name === "AbortError") say(at("ask-status"), "Stopped; the answer is not whole.", "warn");
    else say(at("ask-status"), error.message, "bad");
  } finally {
    answer.classList.remove("working");
    at("ask-go").textContent = "Ask";
    running = null;
  }
}

function render({ text, citations, collection }) {
  // A passage is cited once per sentence, each time with the words that bear it out: the i-th [n] is its i-th citation.
  const seen = new Map();
  const nodes = text.split(/(\[\d+\])/).map((part) => {
    const number = Number(/^\[(\d+)\]$/.exec(part)?.[1]);
    const own = citations.filter(({ n }) => n === number);
    if (!own.length) return part;
    const turn = seen.get(number) ?? 0;
    seen.set(number, turn + 1);
    const citation = own[Math.min(turn, own.length - 1)];
    return make("button", {
      class: "note", type: "button", "aria-pressed": "false",
      "aria-label": `Footnote ${number}: ${citation.title || citation.source}`,
      onclick: (event) => open(collection, citation, event.currentTarget),
    }, String(number));
  });
  at("answer").replaceChildren(...nodes);
  const place = ({ n, start, end }) => `${n} ${start} ${end}`;
  const once = citations.filter((one, index) => citations.findIndex((other) => place(other) === place(one)) === index);
  at("footnotes").replaceChildren(...once.map((citation) => {
    const from = [citation.title || citation.source, citation.page && `page ${citation.page}`].filter(Boolean).join(", ");
    return make("li", {}, make("button", { type: "button", onclick: (event) => open(collection, citation, event.currentTarget) },
      make("span", { class: "n" }, String(citation.n)),
      make("span", { class: "quote" }, `“${citation.quote}”`),
      make("span", { class: "from" }, from)));
  }));
}
