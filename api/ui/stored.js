// Draws a document's stored text: as headings, tables and paragraphs where it is Markdown, as lines where it is not; with a
// span highlighted, and where the passages begin and end if that is wanted.

import { h } from "./dom.js";
import { blocks, inline } from "./markdown.js";
import { T } from "./text.js";

// Their stored text is what was in the file, character for character.
const VERBATIM = /^(text\/(plain|x-[\w-]+|javascript|css)|application\/(json|jsonl|x-[\w-]+|xml|sql|toml|yaml))$/;

/**
 * Fills `box` and returns the highlighted elements, first to last. `text` is the stored text; `pages` are `{ page, start, end }`,
 * `span` is `{ start, end }` or null and `chunks` an array of such or null, all in UTF-16 units of the text.
 */
export function draw(box, { text, pages, mediaType, span, chunks }) {
  const pen = new Pen(text, span, chunks ?? []);
  const verbatim = VERBATIM.test(mediaType ?? "");
  const sections = pages.length ? pages : [{ start: 0, end: text.length }];
  const nodes = [];
  let done = 0;
  sections.forEach(({ page, end }, index) => {
    const to = index === sections.length - 1 ? text.length : Math.max(done, end);
    const section = h("section", { class: "sheet" }, page ? h("p", { class: "page" }, T.source.pageMark(page)) : null);
    if (verbatim) pen.write(section.appendChild(h("pre", { class: "verbatim" })), done, to);
    else for (const block of blocks(text, done, to)) pen.block(section, block);
    nodes.push(section);
    done = to;
  });
  box.replaceChildren(...nodes);
  return pen.marks;
}

class Pen {
  constructor(text, span, chunks) {
    this.text = text;
    this.span = span && span.end > span.start ? span : null;
    this.chunks = chunks;
    this.opened = 0; // chunks whose beginning was drawn
    this.marks = [];
    const cuts = new Set(this.span ? [this.span.start, this.span.end] : []);
    for (const { start, end } of chunks) cuts.add(start).add(end);
    this.cuts = [...cuts].sort((a, b) => a - b);
  }

  block(parent, block) {
    const put = (tag, properties) => parent.appendChild(h(tag, properties));
    switch (block.kind) {
      case "heading":
        // The panel has a heading of its own above them.
        return this.inlines(put(`h${Math.min(6, block.level + 2)}`, { class: `level-${block.level}` }), block);
      case "code":
        return this.write(put("pre", {}), block.from, block.to);
      case "rule":
        return put("hr");
      case "item": {
        const item = put("p", { class: `item depth-${block.depth}` });
        item.append(h("span", { class: "bullet" }, /\d/.test(block.marker) ? block.marker : "•"));
        return this.inlines(item.appendChild(h("span")), block);
      }
      case "quote":
        return this.inlines(put("blockquote"), block);
      case "table": {
        const table = put("div", { class: "table", tabindex: "0", role: "region", "aria-label": T.source.table }).appendChild(h("table"));
        block.rows.forEach((row, index) => {
          const line = table.appendChild(h("tr"));
          for (const cell of row) this.inlines(line.appendChild(h(index ? "td" : "th", index ? {} : { scope: "col" })), cell);
        });
        return table;
      }
      default:
        return this.inlines(put("p"), block);
    }
  }

  inlines(parent, { from, to }) {
    const tags = { code: "code", strong: "strong", em: "em", link: "span" };
    for (const piece of inline(this.text, from, to)) {
      if (piece.style === "break") parent.append(h("br"));
      else this.write(piece.style ? parent.appendChild(h(tags[piece.style], piece.style === "link" ? { class: "link" } : {})) : parent, piece.from, piece.to);
    }
  }

  // Text from one place to another, cut wherever the highlight or a passage begins or ends.
  write(parent, from, to) {
    let at = from;
    while (at < to) {
      while (this.opened < this.chunks.length && this.chunks[this.opened].start <= at) {
        this.opened++;
        parent.append(h("span", { class: "chunk-mark", title: T.document.chunkMark(this.opened), role: "img", "aria-label": T.document.chunkMark(this.opened) }, String(this.opened)));
      }
      const next = Math.min(to, this.next(at));
      parent.append(this.piece(this.text.slice(at, next), at));
      at = next;
    }
  }

  next(at) {
    let [low, high] = [0, this.cuts.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.cuts[middle] <= at) low = middle + 1;
      else high = middle;
    }
    return this.cuts[low] ?? Infinity;
  }

  piece(text, at) {
    if (this.span && at >= this.span.start && at < this.span.end) {
      const mark = h("mark", { class: "cited" }, text);
      this.marks.push(mark);
      return mark;
    }
    // Passages overlap a little: at most the one that was opened last and the one before it are at a place.
    const inside = [this.opened - 1, this.opened - 2].filter((index) => this.chunks[index]?.start <= at && at < this.chunks[index]?.end);
    if (!inside.length) return text;
    return h("span", { class: inside.length > 1 ? "chunk both" : `chunk ${inside[0] % 2 ? "odd" : "even"}` }, text);
  }
}
