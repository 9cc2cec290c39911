// Thumbs: what a reader says of an answer or a passage becomes a judgement of the documents that were shown.

import { call, inCollection } from "./api.js";
import { announce, h, icon } from "./dom.js";
import { T } from "./text.js";

const documents = (ids) => [...new Set(ids)];

/**
 * Two buttons about an answer, or about one of its passages. Of the answer: the documents it cites helped or did not; of a
 * refusal or a passage: that passage does or does not hold the answer. Only ids and the question are sent.
 */
export function thumbs({ collection, question, standalone, passages, citations }, passage) {
  const about = passage ? [passage.document_id] : documents(citations.map(({ document_id }) => document_id));
  if (!about.length || !passages?.length) return null;
  const word = h("span", { class: "faint", role: "status" });
  const say = async (way) => {
    for (const button of buttons) button.disabled = true;
    const shown = documents(passages.map(({ document_id }) => document_id));
    try {
      await call("POST", inCollection(collection, "/feedback"), { query: standalone || question, shown, [way]: about.filter((id) => shown.includes(id)) });
      buttons[way === "up" ? 0 : 1].setAttribute("aria-pressed", "true");
      word.textContent = T.thumbs.thanks;
      announce(T.thumbs.thanks);
    } catch (error) {
      for (const button of buttons) button.disabled = false;
      word.textContent = error.message;
    }
  };
  const words = passage ? T.thumbs.passage : T.thumbs.answer;
  const buttons = ["up", "down"].map((way) =>
    h("button", { type: "button", class: "quiet square thumb", "aria-label": words[way], title: words[way], "aria-pressed": "false", onclick: () => say(way) }, icon(way)));
  return h("span", { class: "thumbs" }, buttons, word);
}
