// One document of the library: what is known about it, and its text with the passages drawn on it.

import * as access from "./access.js";
import { call, inCollection, ofDocument } from "./api.js";
import { Offsets } from "./bytes.js";
import * as collections from "./collections.js";
import { h, say } from "./dom.js";
import * as recut from "./recut.js";
import { open } from "./source.js";
import { draw } from "./stored.js";
import { T } from "./text.js";

let turn = 0;

/** Fills `box` with the document `id` of a collection. */
export async function show(box, collection, id) {
  const mine = ++turn;
  const status = h("p", { class: "status", role: "status" }, T.source.reading);
  const back = h("p", {}, h("a", { href: "#/library" }, `‹ ${T.document.back}`));
  box.replaceChildren(back, status);
  const path = ofDocument(collection, id);
  try {
    const [about, stored, { chunks }, { jobs }] = await Promise.all([
      call("GET", path), call("GET", `${path}/text`), call("GET", `${path}/chunks`), call("GET", inCollection(collection, "/jobs?limit=1000")),
      collections.all().length ? null : collections.refresh(),
    ]);
    if (mine !== turn) return;
    const parts = [h("h2", { class: "document-title", tabindex: -1 }, about.title || about.source),
      h("p", { class: "acts" },
        h("button", { type: "button", class: "quiet", onclick: (event) => open(collection, { ...about, document_id: id }, event.currentTarget) }, T.document.look),
        h("a", { class: "quiet", href: `${path}/content`, download: "" }, T.source.download)),
      h("div", { class: "two" }, facts(collection, about), metadata(about)),
      about.warnings.length ? h("section", {}, h("h3", {}, T.document.warnings), h("ul", {}, about.warnings.map((words) => h("li", {}, words)))) : null,
      history(jobs.filter((job) => job.document_id === id)),
      text(collection, about, stored, chunks)];
    box.replaceChildren(back, ...parts.filter(Boolean));
    box.querySelector("h2").focus({ preventScroll: true });
  } catch (error) {
    if (mine === turn) say(status, error.message, "bad");
  }
}

function table(title, rows) {
  return h("section", {}, h("h3", {}, title), rows.length
    ? h("dl", { class: "facts" }, rows.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]))
    : h("p", { class: "faint" }, T.document.noMetadata));
}

function facts(collection, about) {
  const names = T.document.facts;
  const seen = h("span", {}, access.inWords(about.acl));
  const wrong = h("span", { class: "bad", role: "alert" });
  const change = async () => {
    wrong.textContent = "";
    try {
      const set = await access.change(collection, about);
      if (!set) return;
      about.acl = set.acl;
      seen.textContent = access.inWords(set.acl);
    } catch (error) {
      wrong.textContent = error.message;
    }
  };
  return table(T.document.about, [
    [names.id, about.id], [names.version, String(about.version)], [names.type, about.media_type], [names.size, T.size(about.bytes)],
    ...(about.pages ? [[names.pages, String(about.pages)]] : []), [names.chunks, String(about.chunks)],
    [names.added, T.when(about.created_at)], [names.updated, T.when(about.updated_at)],
    [names.access, [seen, " ", h("button", { type: "button", class: "text", onclick: change }, T.access.change), " ", wrong]], [names.hash, h("code", {}, about.content_hash.slice(0, 16))],
  ]);
}

function metadata(about) {
  return table(T.document.metadata, Object.entries(about.metadata).map(([name, value]) => [name, typeof value === "string" ? value : JSON.stringify(value)]));
}

// Every version that was brought in, the latest first, and how that ended.
function history(jobs) {
  if (!jobs.length) return null;
  return h("section", {}, h("h3", {}, T.document.historyTitle), h("ol", { class: "history" },
    jobs.map((job) => h("li", {}, h("span", {}, T.document.history(job)), h("span", { class: "faint" }, T.from([T.when(job.updated_at), job.message]))))));
}

function text(collection, about, stored, chunks) {
  const offsets = new Offsets(stored.text);
  const unit = ({ start, end, ...rest }) => ({ ...rest, start: offsets.unit(start), end: offsets.unit(end) });
  const pages = stored.pages.map(unit);
  const ordered = (some) => some.map(unit).sort((a, b) => a.start - b.start);
  const passages = ordered(chunks);
  let tried = null;
  const box = h("div", { class: "stored framed", tabindex: "0", role: "region", "aria-label": T.document.text });
  const legend = h("p", { class: "faint" }, T.document.legend);
  const shown = h("input", { type: "checkbox", checked: true, onchange: () => fill() });
  const fill = () => {
    draw(box, { text: stored.text, pages, mediaType: about.media_type, span: null, chunks: shown.checked ? (tried ?? passages) : null });
    legend.hidden = !shown.checked;
  };
  fill();
  const form = recut.form(collection, about, { chunks: chunks.length }, (preview) => {
    tried = preview && ordered(preview.chunks);
    shown.checked = true;
    fill();
  });
  return h("section", {}, h("header", { class: "list-head" }, h("h3", {}, T.document.text),
    h("label", { class: "check" }, shown, T.document.chunks)), form, legend, box);
}
