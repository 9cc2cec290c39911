// The documents tab: uploads with their jobs' progress, and what the collection holds.

import { at, call, count, inCollection, make, say, send } from "./net.js";
import { forget, open } from "./source.js";

// Browsers open six connections to a server; each upload needs one, and its events another.
const AT_ONCE = 3;
const WORDS = {
  indexed: ["searchable", "good"], unchanged: ["unchanged", "good"], skipped: ["skipped", "warn"],
  failed: ["failed", "bad"], cancelled: ["cancelled", "warn"], dead: ["given up", "bad"],
};

const waiting = [];
let working = 0;
let next = null;
let latest = 0;

/** Wires choosing and dropping; `collection()` names the collection, `changed()` is told when it holds something new. */
export function start(collection, changed) {
  const take = (files) => {
    for (const file of files) enqueue(collection(), file, changed);
  };
  at("files").addEventListener("change", (event) => {
    take(event.target.files);
    event.target.value = "";
  });
  let depth = 0;
  const dragging = (on) => document.body.classList.toggle("dragging", on);
  addEventListener("dragenter", () => dragging(++depth > 0));
  addEventListener("dragleave", () => dragging(--depth > 0));
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    depth = 0;
    dragging(false);
    if (event.dataTransfer.files.length) {
      at("tab-documents").click();
      take(event.dataTransfer.files);
    }
  });
  at("more").addEventListener("click", () => list(collection(), next));
}

function enqueue(collection, file, changed) {
  const state = make("span", { class: "state" }, "waiting");
  const reason = make("span", { class: "why-not", hidden: true });
  const bar = make("progress", {});
  const row = make("li", {}, make("span", { class: "file" }, file.webkitRelativePath || file.name), state, bar, reason);
  at("uploads").prepend(row);
  const show = (text, tone, why) => {
    state.textContent = text;
    state.className = `state ${tone ?? ""}`;
    reason.hidden = !why;
    reason.textContent = why ?? "";
    if (tone) bar.remove();
  };
  waiting.push(async () => {
    try {
      await upload(collection, file, show, bar);
    } catch (error) {
      show("failed", "bad", error.message);
    }
    forget();
    changed();
  });
  pump();
}

function pump() {
  while (working < AT_ONCE && waiting.length) {
    working++;
    waiting.shift()().finally(() => {
      working--;
      pump();
    });
  }
}

async function upload(collection, file, show, bar) {
  show("uploading");
  const form = new FormData();
  form.append("file", file, file.webkitRelativePath || file.name);
  const response = await send(inCollection(collection, "/documents"), { method: "POST", body: form });
  const { job } = await response.json();
  await new Promise((resolve, reject) => {
    const events = new EventSource(`/v1/jobs/${job}/events`);
    events.addEventListener("job", ({ data }) => {
      const { stage, progress, attempts, message, state } = JSON.parse(data);
      if (progress && progress.total) {
        bar.max = progress.total;
        bar.value = progress.done;
      } else {
        bar.removeAttribute("value");
      }
      show(state === "queued" ? (attempts ? "will be tried again" : "queued") : stage, "", attempts > 1 ? message : null);
    });
    events.addEventListener("done", ({ data }) => {
      events.close();
      const { state, message, report } = JSON.parse(data);
      const [word, tone] = WORDS[state] ?? [state, "warn"];
      const chunks = state === "indexed" && report?.chunks ? ` · ${count(report.chunks, "passage")}` : "";
      const notes = [message, ...(report?.warnings ?? [])].filter(Boolean).join(" ");
      show(word + chunks, tone, notes);
      resolve();
    });
    events.addEventListener("error", ({ data }) => {
      if (data) {
        events.close();
        reject(new Error(JSON.parse(data).detail));
      } else if (events.readyState === EventSource.CLOSED) {
        reject(new Error("the connection broke; the document is still being read, see the list below in a while"));
      }
    });
  });
}

/** Lists the collection's documents, from the start or after a cursor. */
export async function list(collection, cursor) {
  const status = at("documents-status");
  const turn = ++latest;
  try {
    const query = new URLSearchParams({ limit: "100", ...(cursor ? { cursor } : {}) });
    const page = await call("GET", inCollection(collection, `/documents?${query}`));
    if (turn !== latest) return;
    if (!cursor) at("documents").replaceChildren();
    at("documents").append(...page.documents.map((document) => show(collection, document)));
    next = page.next;
    say(status, at("documents").childElementCount ? "" : "Nothing yet. Drop some files above.");
  } catch (error) {
    if (turn !== latest) return;
    next = null;
    if (!cursor) at("documents").replaceChildren();
    if (error.code === "not-found" && collection === "default") say(status, "Nothing yet. Drop some files above.");
    else say(status, error.message, "bad");
  }
  at("more").hidden = !next;
}

function show(collection, document) {
  const path = inCollection(collection, `/documents/${encodeURIComponent(document.id)}`);
  const meta = [
    document.media_type, document.pages ? count(document.pages, "page") : null, count(document.chunks, "passage"),
    document.bytes < 1e6 ? `${Math.ceil(document.bytes / 1e3)} kB` : `${(document.bytes / 1e6).toFixed(1)} MB`,
    document.version > 1 ? `version ${document.version}` : null,
  ];
  const row = make("li", {},
    make("div", {},
      make("div", { class: "file" }, document.title || document.source),
      make("div", { class: "meta" }, [document.source, ...meta].filter(Boolean).join(" · "))),
    make("div", { class: "acts" },
      make("button", { class: "quiet", type: "button", onclick: (event) => open(collection, { ...document, document_id: document.id }, event.currentTarget) }, "Read"),
      make("a", { class: "quiet", href: `${path}/content`, download: "" }, "Download"),
      make("button", { class: "quiet", type: "button", onclick: () => remove(path, document, row) }, "Delete")));
  return row;
}

async function remove(path, document, row) {
  if (!confirm(`Delete “${document.title || document.source}”? This can't be undone.`)) return;
  try {
    await call("DELETE", path);
    row.remove();
    forget();
  } catch (error) {
    say(at("documents-status"), error.message, "bad");
  }
}
