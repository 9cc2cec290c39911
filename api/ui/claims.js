// Draws a checked answer: its sentences with footnotes, its sources with their support, and how each sentence was checked.

import { h } from "./dom.js";
import { T } from "./text.js";

/** A bar for a share of 1, with its number for those who do not see it. */
export function meter(share, label = T.ask.supportLabel) {
  return h("span", { class: "meter", role: "meter", "aria-valuemin": "0", "aria-valuemax": "1", "aria-valuenow": share.toFixed(2), "aria-label": label, title: label },
    h("span", { class: share < 0.5 ? "low" : "", style: { width: `${Math.round(share * 100)}%` } }));
}

/**
 * The answer's text as nodes. A passage is cited once per sentence, each time with the words that bear it out: the i-th `[n]`
 * is its i-th citation. `open(citation, button)` is called for a footnote; `claims` may be empty while the answer still comes.
 */
export function sentences({ answer, citations, claims, short_answer: short }, open) {
  const turns = new Map();
  const nodes = [];
  const doubtful = claims.filter(({ decision }) => decision === "marked").map(({ text }) => text);
  let shortLeft = short?.text;
  for (const part of answer.split(/(\[\d+\])/)) {
    const number = Number(/^\[(\d+)\]$/.exec(part)?.[1]);
    const own = citations.filter(({ n }) => n === number);
    if (own.length) {
      const turn = turns.get(number) ?? 0;
      turns.set(number, turn + 1);
      const citation = own[Math.min(turn, own.length - 1)];
      nodes.push(h("button", {
        class: "note", type: "button", "aria-label": T.ask.footnote(number, citation.title || citation.source),
        onclick: (event) => open(citation, event.currentTarget),
      }, String(number)));
      continue;
    }
    const doubt = doubtful.find((text) => part.includes(text));
    const at = shortLeft ? part.indexOf(shortLeft) : -1;
    if (doubt) {
      const from = part.indexOf(doubt);
      nodes.push(part.slice(0, from), h("span", { class: "doubtful", title: T.ask.marked }, doubt), h("span", { class: "badge warn" }, T.ask.marked), part.slice(from + doubt.length));
    } else if (at >= 0) {
      nodes.push(part.slice(0, at), h("strong", { class: "short" }, shortLeft), part.slice(at + shortLeft.length));
      shortLeft = null;
    } else {
      nodes.push(part);
    }
  }
  return nodes;
}

/** The list of sources under an answer: each quoted span once, with its document, page and support. */
export function sources(citations, open) {
  const place = ({ document_id, start, end }) => `${document_id} ${start} ${end}`;
  const once = citations.filter((one, index) => citations.findIndex((other) => place(other) === place(one)) === index);
  return once.map((citation) =>
    h("li", {}, h("button", { type: "button", onclick: (event) => open(citation, event.currentTarget) },
      h("span", { class: "n" }, String(citation.n)),
      h("span", { class: "quote" }, `“${citation.quote}”`),
      h("span", { class: "from" }, T.from([citation.title || citation.source, citation.page && T.page(citation.page)])),
      h("span", { class: "support" }, meter(citation.support), citation.support === 1 ? T.ask.quoted : T.ask.support(citation.support)))));
}

/** Every sentence that was made, with what was done with it and why, and how far the passages seemed to answer at all. */
export function checked(claims, confidence) {
  if (!claims.length) return null;
  const kept = claims.filter(({ decision }) => decision === "kept").length;
  const rows = claims.map(({ text, decision, support, findings }) =>
    h("li", { class: `claim ${decision}` },
      h("span", { class: "claim-text" }, text),
      h("span", { class: "support" }, meter(support), T.from([T.ask.support(support), T.ask.decision[decision] ?? decision])),
      findings.length ? h("ul", { class: "findings" }, findings.map(({ missing, value }) => h("li", {}, T.ask.missing[missing]?.(value) ?? value))) : null));
  // Where something fell out it is worth looking at unasked.
  return h("details", { class: "fold", open: kept < claims.length }, h("summary", {}, T.ask.checked(kept, claims.length)), h("ol", { class: "claims" }, rows),
    confidence ? h("p", { class: "confidence" }, meter(confidence.score, T.ask.confidenceLabel), T.ask.confidence(confidence.score, confidence.threshold)) : null);
}

/** Sentences that give different answers, side by side; each opens where it stands. Null where there are none. */
export function conflicts(found, read, open) {
  if (!found.length) return null;
  const side = ({ chunk_id, quote, value, start, end }) => {
    const passage = read.find((one) => one.chunk_id === chunk_id);
    if (!passage) return null;
    return h("li", {}, h("button", { type: "button", onclick: (event) => open({ ...passage, start, end, quote }, event.currentTarget) },
      h("strong", {}, value), h("span", { class: "quote" }, `“${quote}”`), h("span", { class: "from" }, passage.title || passage.source)));
  };
  return h("section", { class: "conflicts" }, h("h2", {}, T.ask.conflicts), found.map(({ sides }) => h("ol", {}, sides.map(side))));
}

/** Passages that were found, to be opened one by one; `beside(passage)` may add something to each. */
export function passages(found, open, beside) {
  return h("ol", { class: "passages" }, found.map((passage) =>
    h("li", {}, h("button", { type: "button", onclick: (event) => open({ ...passage, quote: passage.text }, event.currentTarget) },
      h("span", { class: "title" }, passage.title || passage.source),
      h("span", { class: "from" }, T.from([passage.source, passage.page && T.page(passage.page), passage.headings.at(-1)])),
      h("span", { class: "excerpt" }, passage.text.replace(/^#+\s.*\n+/, "")),
      passage.suspicions ? h("span", { class: "badge warn" }, T.ask.suspicious) : null), beside?.(passage) ?? null)));
}

/** The answer as plain text with numbered sources under it. */
export function plain({ question, answer, citations }) {
  const lines = new Map();
  for (const { n, title, source, page, quote } of citations) {
    const from = T.from([title || source, title && title !== source && source, page && T.page(page)]);
    const known = lines.get(n) ?? { from, quotes: [] };
    if (!known.quotes.includes(quote)) known.quotes.push(quote);
    lines.set(n, known);
  }
  const list = [...lines].sort(([a], [b]) => a - b).map(([n, { from, quotes }]) => `[${n}] ${from}\n${quotes.map((quote) => `    “${quote.replace(/\s+/g, " ")}”`).join("\n")}`);
  return [question, "", answer, ...(list.length ? ["", T.ask.copySources, ...list] : [])].join("\n");
}
