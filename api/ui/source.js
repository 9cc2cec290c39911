// The panel beside an answer or a list of hits: the document a passage is from, open at the very words.

import { bytes, call, ofDocument } from "./api.js";
import { Offsets } from "./bytes.js";
import { announce, at, h, icon, iconButton, say } from "./dom.js";
import { Original } from "./original.js";
import { draw } from "./stored.js";
import { T } from "./text.js";

const KEPT = 8;
const texts = new Map(); // path → what was read, the latest last
let turn = 0;
let opener = null;
let shown = null; // { collection, place, document, span, home, view, original, number, marks }

/** Builds the panel into its element; closed at first. */
export function start() {
  const panel = at("source");
  panel.append(
    h("header", {},
      h("div", { class: "grow" }, h("h2", { id: "source-title", tabindex: -1 }), h("p", { id: "source-place" })),
      iconButton("close", T.close, close)),
    h("div", { class: "tools", id: "source-tools", hidden: true }),
    h("p", { id: "source-status", class: "status", role: "status" }),
    h("div", { id: "source-body", class: "body", tabindex: "0", role: "region", "aria-label": T.source.text }));
  addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !panel.hidden && !document.querySelector("dialog[open]")) close();
  });
  let width = 0;
  new ResizeObserver(([entry]) => {
    if (shown?.view === "original" && Math.abs(entry.contentRect.width - width) > 24) page(shown.number);
    width = entry.contentRect.width;
  }).observe(at("source-body"));
}

/** Opens `place`: `{ document_id, start, end, page, quote?, source, title }`, spans in UTF-8 bytes of the stored text. */
export async function open(collection, place, from) {
  const mine = ++turn;
  press(from ?? null);
  shown?.original?.close();
  shown = { collection, place, view: null };
  at("source").hidden = false;
  at("columns").classList.add("open");
  at("source-title").textContent = place.title || place.source || place.document_id;
  at("source-place").textContent = T.from([place.source, place.page && T.page(place.page), place.version > 1 && T.version(place.version)]);
  at("source-tools").hidden = true;
  at("source-body").replaceChildren();
  say(at("source-status"), T.source.reading);
  at("source-title").focus({ preventScroll: true });
  try {
    const read = await document_(collection, place.document_id);
    if (mine !== turn) return;
    shown.document = read;
    locateSpan(read, place);
    const pdf = read.about.media_type === "application/pdf";
    tools(pdf);
    await view(pdf && !shown.stale ? "original" : "text");
  } catch (error) {
    if (mine === turn) say(at("source-status"), error.message, "bad");
  }
}

/** Hides the panel and gives the focus back to what opened it. */
export function close() {
  turn++;
  shown?.original?.close();
  shown = null;
  at("source").hidden = true;
  at("columns").classList.remove("open");
  const back = opener;
  press(null);
  back?.focus();
}

/** Forgets what was read: documents may have changed. */
export function forget() {
  texts.clear();
}

function press(from) {
  opener?.removeAttribute("aria-expanded");
  opener?.classList.remove("chosen");
  opener = from;
  opener?.setAttribute("aria-expanded", "true");
  opener?.classList.add("chosen");
}

async function document_(collection, id) {
  const path = ofDocument(collection, id);
  const known = texts.get(path);
  texts.delete(path);
  const read = known ?? Promise.all([call("GET", path), call("GET", `${path}/text`)]).then(([about, { text, pages }]) => {
    const offsets = new Offsets(text);
    const unit = ({ start, end, ...rest }) => ({ ...rest, start: offsets.unit(start), end: offsets.unit(end) });
    return { about, text, pages: pages.map(unit), unit, path };
  });
  texts.set(path, read);
  read.catch(() => texts.delete(path));
  if (texts.size > KEPT) texts.delete(texts.keys().next().value);
  return read;
}

// The passage in units of the text; gone if other words stand there now.
function locateSpan(read, place) {
  const span = place.end > place.start ? read.unit({ start: place.start, end: place.end }) : null;
  shown.stale = Boolean(span && place.quote !== undefined && read.text.slice(span.start, span.end) !== place.quote);
  shown.span = shown.stale ? null : span;
  // The first page may hold no more of it than a sign at its foot.
  const words = ({ start, end }) => /[\p{L}\p{N}]/u.test(read.text.slice(Math.max(start, shown.span.start), Math.min(end, shown.span.end)));
  const first = shown.span && read.pages.find((one) => one.start < shown.span.end && one.end > shown.span.start && words(one));
  shown.home = first?.page ?? place.page ?? 1;
}

function tools(pdf) {
  const tab = (name, label) => h("button", { type: "button", id: `source-${name}`, "aria-pressed": "false", onclick: () => view(name) }, label);
  const bar = at("source-tools");
  bar.replaceChildren(
    pdf ? h("div", { class: "segments", role: "group", "aria-label": T.source.views }, tab("original", T.source.original), tab("text", T.source.text)) : "",
    h("div", { class: "pages", id: "source-pages", hidden: true },
      iconButton("left", T.source.previous, () => page(shown.number - 1)), h("span", { id: "source-number" }),
      iconButton("right", T.source.next, () => page(shown.number + 1)),
      iconButton("minus", T.source.smaller, () => zoom(1 / 1.25)), iconButton("plus", T.source.larger, () => zoom(1.25))),
    shown.span ? h("button", { type: "button", class: "quiet", onclick: back }, icon("target"), T.source.back) : "");
  bar.hidden = !pdf && !shown.span;
}

async function view(name) {
  const mine = turn;
  shown.view = name;
  for (const one of ["original", "text"]) at(`source-${one}`)?.setAttribute("aria-pressed", String(one === name));
  at("source-pages").hidden = name !== "original";
  if (name === "original") {
    try {
      say(at("source-status"), T.source.drawing);
      shown.original ??= await pdf(shown);
      if (mine !== turn || shown.view !== name) return;
      at("source-body").replaceChildren(shown.original.box);
      at("source-body").classList.add("desk");
      await page(shown.number ?? shown.home);
      return;
    } catch (error) {
      if (mine !== turn) return;
      await view("text");
      say(at("source-status"), T.source.noPdf(error.message), "warn");
      return;
    }
  }
  const { text, pages, about } = shown.document;
  const box = h("div", { class: "stored" });
  at("source-body").classList.remove("desk");
  at("source-body").replaceChildren(box);
  shown.marks = draw(box, { text, pages, mediaType: about.media_type, span: shown.span });
  say(at("source-status"), shown.stale ? T.source.stale : text ? "" : T.source.empty, "warn");
  if (shown.marks.length) back();
  else at("source-body").scrollTop = 0;
}

async function pdf({ document: read, span }) {
  const passage = (number) => {
    const on = read.pages.find(({ page }) => page === number);
    if (!span || !on) return null;
    // A passage that goes on over the page's end is looked for on each page with the part that stands there.
    const [from, to] = [Math.max(span.start, on.start), Math.min(span.end, on.end)];
    return from < to ? { quote: read.text.slice(from, to), before: read.text.slice(on.start, from) } : null;
  };
  return Original.open(await bytes(`${read.path}/content`), passage);
}

async function page(number) {
  const { original } = shown;
  if (!original || number < 1 || number > original.pages) return;
  shown.number = number;
  at("source-number").textContent = T.source.pageOf(number, original.pages);
  const body = at("source-body");
  const room = body.clientWidth - 32;
  const drawn = await original.draw(number, Math.max(200, room));
  if (!drawn || shown?.original !== original) return;
  shown.marks = drawn.marks;
  const words = drawn.share === null || drawn.share > 0.95 ? "" : drawn.share > 0 ? T.source.partly : T.source.notOnPage;
  say(at("source-status"), words, "warn");
  if (drawn.marks.length) scroll(drawn.marks);
  else body.scrollTop = 0;
  announce(T.source.pageOf(number, original.pages));
}

function zoom(by) {
  if (!shown.original) return;
  shown.original.zoom = Math.min(3, Math.max(0.5, shown.original.zoom * by));
  page(shown.number);
}

function back() {
  if (shown.view === "original" && shown.number !== shown.home) page(shown.home);
  else if (shown.marks?.length) scroll(shown.marks);
}

// A third from the top, so that what leads to the passage is seen, too.
function scroll(marks) {
  const body = at("source-body");
  const top = () => marks[0].getBoundingClientRect().top - body.getBoundingClientRect().top + body.scrollTop;
  body.scrollTop = top() - body.clientHeight / 3;
  // Sections above may have been laid out only now.
  requestAnimationFrame(() => {
    if (marks[0].isConnected) body.scrollTop = top() - body.clientHeight / 3;
  });
  const left = marks[0].getBoundingClientRect().left - body.getBoundingClientRect().left + body.scrollLeft;
  body.scrollLeft = left < body.clientWidth - 120 ? 0 : left - body.clientWidth / 3;
}
