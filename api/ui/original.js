// Draws a page of a PDF as it was uploaded, with the cited words highlighted where they stand on it.

import { h } from "./dom.js";
import { locate } from "./locate.js";
import { T } from "./text.js";

const HOME = "/ui/vendor/pdfjs-5.4.624";
let library = null;

/** Loads PDF.js once; it comes only when a PDF is opened for the first time. */
async function pdfjs() {
  library ??= import(`${HOME}/pdf.min.mjs`).then((loaded) => {
    const url = `${HOME}/pdf.worker.min.mjs`;
    // The one script address that the page ever makes, so the browser can refuse every other.
    const policy = globalThis.trustedTypes?.createPolicy("wellspring-worker", { createScriptURL: () => url });
    loaded.GlobalWorkerOptions.workerPort = new Worker(policy ? policy.createScriptURL("") : url, { type: "module" });
    return loaded;
  });
  library.catch(() => {
    library = null;
  });
  return library;
}

/** An open PDF in a box of its own. */
export class Original {
  /** `passage(page)` gives `{ quote, before }` of what is cited on a page, or null. */
  static async open(bytes, passage) {
    const { getDocument } = await pdfjs();
    // PDF.js takes the bytes away, to its worker.
    const task = getDocument({ data: bytes.slice(), wasmUrl: `${HOME}/`, isEvalSupported: false, enableXfa: false });
    return new Original(await task.promise, task, passage);
  }

  constructor(document, task, passage) {
    this.document = document;
    this.task = task;
    this.passage = passage;
    this.zoom = 1;
    this.turn = 0;
    this.box = h("div", { class: "sheet-box" });
  }

  /** How many pages there are. */
  get pages() {
    return this.document.numPages;
  }

  /**
   * Draws a page as wide as `width` pixels times the zoom. Resolves to `{ marks, share }`: the highlighted elements and how
   * much of the passage they hold, `share` null if nothing is cited on this page; or to null if another draw overtook it.
   */
  async draw(number, width) {
    const turn = ++this.turn;
    const { TextLayer } = await pdfjs();
    const page = await this.document.getPage(number);
    const natural = page.getViewport({ scale: 1 });
    const viewport = page.getViewport({ scale: (width * this.zoom) / natural.width });
    const density = Math.min(2, devicePixelRatio || 1);
    const canvas = h("canvas", {
      width: Math.floor(viewport.width * density), height: Math.floor(viewport.height * density),
      role: "img", "aria-label": T.source.canvas(number),
    });
    const layer = h("div", { class: "words", style: { "--total-scale-factor": String(viewport.scale) } });
    const sheet = h("div", { class: "drawn", style: { width: `${viewport.width}px`, height: `${viewport.height}px` } }, canvas, layer);
    const [content] = await Promise.all([
      page.getTextContent(),
      page.render({ canvas, viewport, transform: density === 1 ? null : [density, 0, 0, density, 0, 0] }).promise,
    ]);
    const words = new TextLayer({ textContentSource: content, container: layer, viewport });
    await words.render();
    if (turn !== this.turn) return null;
    this.box.replaceChildren(sheet);
    const cited = this.passage(number);
    if (!cited) return { marks: [], share: null };
    const found = locate(words.textContentItemsStr, cited.quote, cited.before);
    return { marks: highlight(words.textDivs, found.ranges), share: found.share };
  }

  /** Lets go of the file. */
  close() {
    this.turn++;
    this.task.destroy();
  }
}

function highlight(elements, ranges) {
  const marks = [];
  const byPiece = grouped(ranges);
  for (const [piece, parts] of byPiece) {
    const element = elements[piece];
    const text = element.textContent;
    const nodes = [];
    let done = 0;
    for (const { from, to } of parts) {
      const mark = h("mark", { class: "cited" }, text.slice(from, to));
      nodes.push(text.slice(done, from), mark);
      marks.push(mark);
      done = to;
    }
    element.replaceChildren(...nodes, text.slice(done));
  }
  return marks;
}

function grouped(ranges) {
  const groups = new Map();
  for (const range of ranges) groups.set(range.piece, [...(groups.get(range.piece) ?? []), range]);
  return groups;
}
