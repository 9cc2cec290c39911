// Conversations: where a question is put, the ones that were kept, and how to come back to one or delete it.

import { call } from "./api.js";
import { announce, ask, h, say } from "./dom.js";
import { choose, current } from "./session.js";
import { T } from "./text.js";

// A title is there to recognise a conversation by.
const TITLE = 60;
let talk = null;

/** The next question begins a conversation of its own. */
export function leave() {
  talk = null;
}

/** Where to send a question: `{ path, body }`. The first one begins a conversation; where none can be kept, it stands alone. */
export async function place(collection, question) {
  if (talk?.collection !== collection) {
    talk = null;
    try {
      talk = await call("POST", "/v1/conversations", { collection, title: [...question].slice(0, TITLE).join("") });
    } catch (error) {
      if (error.code === "unreachable") throw error;
      // As many are kept as may be; asking without keeping says what else is wrong.
      return { path: "/v1/answers", body: { collection } };
    }
  }
  return { path: `/v1/conversations/${talk.id}/messages`, body: {} };
}

/** A list that unfolds; `show(conversation)` gets one with its messages. */
export function list(show) {
  const status = h("p", { class: "status", role: "status" });
  const rows = h("ul", { class: "documents" });
  const fill = async () => {
    say(status, T.library.loading);
    try {
      const { conversations } = await call("GET", "/v1/conversations?limit=50");
      const asked = conversations.filter(({ turns }) => turns > 0);
      rows.replaceChildren(...asked.map((one) => row(one, show, status)));
      say(status, asked.length ? "" : T.talk.none);
    } catch (error) {
      say(status, error.message, "bad");
    }
  };
  return h("details", { id: "talks", class: "fold", ontoggle: ({ target }) => target.open && fill() }, h("summary", {}, T.talk.earlier), status, rows);
}

function row(one, show, status) {
  const back = async () => {
    try {
      const whole = await call("GET", `/v1/conversations/${one.id}`);
      // Choosing a collection begins anew; only then is this one taken up.
      if (one.collection !== current()) choose(one.collection);
      talk = one;
      line.closest("details").open = false;
      show(whole);
    } catch (error) {
      say(status, error.message, "bad");
    }
  };
  const remove = async () => {
    if (!(await ask({ title: T.talk.removeTitle, body: T.talk.removeBody, action: T.library.remove, tone: "bad" }))) return;
    try {
      await call("DELETE", `/v1/conversations/${one.id}`);
      if (talk?.id === one.id) leave();
      line.remove();
      announce(T.talk.removed);
    } catch (error) {
      say(status, error.message, "bad");
    }
  };
  const line = h("li", {},
    h("div", {}, h("button", { type: "button", class: "text file", onclick: back }, one.title || T.talk.untitled),
      h("div", { class: "meta" }, T.from([one.collection, T.plural(one.turns, "question"), T.when(one.updated_at)]))),
    h("div", { class: "acts" }, h("button", { type: "button", class: "quiet", "aria-label": `${T.library.remove}: ${one.title || T.talk.untitled}`, onclick: remove }, T.library.remove)));
  return line;
}
