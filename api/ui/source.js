// The panel beside the answer: a document's stored text, scrolled to the exact span that was cited.

import { at, call, inCollection, make, say } from "./net.js";

const texts = new Map();
let opener = null;
let latest = 0;

/** Shows where `place` stands: `{ document_id, start, end, page, quote?, source, title }`, spans in UTF-8 bytes. */
export async function open(collection, place, from) {
  const turn = ++latest;
  opener?.setAttribute("aria-pressed", "false");
  opener = from ?? null;
  opener?.setAttribute("aria-pressed", "true");
  at("source").hidden = false;
  at("columns").classList.add("open");
  at("source-title").textContent = place.title || place.source || place.document_id;
  const parts = [place.source];
  if (place.page) parts.push(`page ${place.page}`);
  if (place.end > place.start) parts.push(`bytes ${place.start.toLocaleString()}–${place.end.toLocaleString()}`);
  at("source-place").textContent = parts.filter(Boolean).join(" · ");
  say(at("source-status"), "Reading…");
  at("source-text").replaceChildren();
  at("source-title").focus({ preventScroll: true });
  try {
    const document = await read(collection, place.document_id);
    if (turn !== latest) return;
    show(document, place);
  } catch (error) {
    if (turn === latest) say(at("source-status"), error.message, "bad");
  }
}

/** Hides the panel and gives the focus back to what opened it. */
export function close() {
  latest++;
  at("source").hidden = true;
  at("columns").classList.remove("open");
  opener?.setAttribute("aria-pressed", "false");
  opener?.focus();
  opener = null;
}

/** Forgets what was read: documents may have changed. */
export function forget() {
  texts.clear();
}

async function read(collection, id) {
  const path = inCollection(collection, `/documents/${encodeURIComponent(id)}/text`);
  if (!texts.has(path)) {
    const { text, pages } = await call("GET", path);
    texts.set(path, { bytes: new TextEncoder().encode(text), pages });
  }
  return texts.get(path);
}

function show({ bytes, pages }, place) {
  // Spans count bytes and JavaScript counts UTF-16 units: cut the bytes, then decode each piece.
  const decoder = new TextDecoder();
  const piece = (from, to) => decoder.decode(bytes.subarray(from, to));
  // Prose that was wrapped by hand would be wrapped twice in a narrow panel; this changes what is shown, not where.
  const unwrapped = (text) => text.replace(/(.{60,})\n(?=\p{L})/gu, "$1 ");
  const start = Math.min(place.start ?? 0, bytes.length);
  const end = Math.min(place.end ?? 0, bytes.length);
  const quoted = piece(start, end);
  const stale = place.quote !== undefined && quoted !== place.quote;
  const cuts = new Set([0, bytes.length]);
  if (!stale) cuts.add(start).add(end);
  for (const page of pages) cuts.add(page.start);
  const offsets = [...cuts].filter((offset) => offset <= bytes.length).sort((a, b) => a - b);
  const starts = new Map(pages.map((page) => [page.start, page.page]));
  const nodes = [];
  let target = null;
  offsets.forEach((from, index) => {
    if (starts.has(from)) nodes.push(make("span", { class: "page" }, `Page ${starts.get(from)}`));
    const to = offsets[index + 1];
    if (to === undefined || to === from) return;
    if (!stale && from >= start && to <= end) {
      const mark = make("mark", {}, unwrapped(piece(from, to)));
      target ??= mark;
      nodes.push(mark);
    } else {
      nodes.push(unwrapped(piece(from, to)));
    }
  });
  const text = at("source-text");
  text.replaceChildren(...nodes);
  say(
    at("source-status"),
    stale ? "The document has changed since; the passage is no longer where it was." : bytes.length ? "" : "The document holds no text.",
    "warn",
  );
  if (target) text.scrollTop = target.offsetTop - text.offsetTop - text.clientHeight / 3;
  else text.scrollTop = 0;
}
