// Marks the words of a query in a passage, as a person would with a pen: word forms too, filler words not.

import { h } from "./dom.js";

const FILLERS = new Set(
  ("a an and are as at be by can did do does for from had has have how in is it its may must not of on or per that the their this to was what when " +
    "where which who why will with you your der die das den dem des ein eine einer eines und oder ist sind im in zu zum zur auf für mit von wie was wer wann " +
    "wo welche welcher welches").split(" "),
);
const WORD = /[\p{L}\p{N}]+(?:[-_.][\p{L}\p{N}]+)*/gu;
const UNSPACED = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}]/u;

const fold = (word) => word.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();

/** The words of a query that are worth marking. */
export function terms(query) {
  const words = (query.match(WORD) ?? []).map(fold);
  const kept = words.filter((word) => word.length > 1 && !FILLERS.has(word));
  return kept.length ? kept : words;
}

/** Whether two folded words are forms of one: equal, or a long common beginning and short ends. */
export function alike(a, b) {
  if (a === b) return true;
  const short = Math.min(a.length, b.length);
  if (short < 4) return false;
  let same = 0;
  while (same < short && a[same] === b[same]) same++;
  return same >= 4 && a.length - same <= 3 && b.length - same <= 3 && same >= 0.7 * short;
}

/** Nodes for `text` with the query's words in `mark` elements. */
export function marked(text, query) {
  const wanted = terms(query);
  const nodes = [];
  let done = 0;
  const mark = (from, to) => {
    nodes.push(text.slice(done, from), h("mark", { class: "term" }, text.slice(from, to)));
    done = to;
  };
  for (const match of text.matchAll(WORD)) {
    const word = fold(match[0]);
    if (wanted.some((term) => alike(word, term))) mark(match.index, match.index + match[0].length);
    else if (UNSPACED.test(match[0])) {
      for (const term of wanted.filter((one) => UNSPACED.test(one))) {
        const at = match[0].indexOf(term);
        if (at >= 0 && match.index + at >= done) mark(match.index + at, match.index + at + term.length);
      }
    }
  }
  nodes.push(text.slice(done));
  return nodes.filter((node) => node !== "");
}
