// Reads the Markdown that documents are stored as, and says for every visible piece where in the text it stands.
//
// Not a whole Markdown: what the extractors write (headings, tables, lists, quotes, code, emphasis). Anything else is a
// paragraph, so nothing is ever lost. Links are shown as their words: a document of somebody else must not lead anywhere.

const FENCE = /^ {0,3}(`{3,}|~{3,})/;
const HEADING = /^ {0,3}(#{1,6})[ \t]+/;
const ITEM = /^([ \t]*)([-*+]|\d{1,9}[.)])[ \t]+/;
const QUOTE = /^ {0,3}>[ \t]?/;
const RULE = /^ {0,3}([-*_])[ \t]*(?:\1[ \t]*){2,}$/;
const DELIMITER = /^ {0,3}\|?[ \t]*:?-+:?[ \t]*(\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$/;

function lines(text, from, to) {
  const out = [];
  for (let at = from; at < to; ) {
    let end = text.indexOf("\n", at);
    if (end < 0 || end > to) end = to;
    out.push({ from: at, to: end, text: text.slice(at, end) });
    at = end + 1;
  }
  return out;
}

function trimmed(text, from, to) {
  while (from < to && /\s/.test(text[from])) from++;
  while (to > from && /\s/.test(text[to - 1])) to--;
  return { from, to };
}

// Cells of a row; `\|` is no border.
function cells(text, line) {
  const out = [];
  let { from, to } = trimmed(text, line.from, line.to);
  if (text[from] === "|") from++;
  if (to > from && text[to - 1] === "|" && text[to - 2] !== "\\") to--;
  let start = from;
  for (let at = from; at <= to; at++) {
    if (at < to && text[at] === "\\") at++;
    else if (at === to || text[at] === "|") {
      out.push(trimmed(text, start, at));
      start = at + 1;
    }
  }
  return out;
}

/**
 * Blocks of `text` between two places, in order: `{ kind, from, to, … }` with kind `heading` (level), `code`, `table` (rows
 * of cells), `item` (depth, marker), `quote`, `rule` or `paragraph`; `from` and `to` hold what is shown.
 */
export function blocks(text, from = 0, to = text.length) {
  const all = lines(text, from, to);
  const out = [];
  for (let i = 0; i < all.length; ) {
    const line = all[i];
    if (!line.text.trim()) {
      i++;
      continue;
    }
    const fence = FENCE.exec(line.text);
    if (fence) {
      let end = i + 1;
      while (end < all.length && !all[end].text.trim().startsWith(fence[1])) end++;
      if (end > i + 1) out.push({ kind: "code", from: all[i + 1].from, to: all[end - 1].to });
      i = end + 1;
      continue;
    }
    const heading = HEADING.exec(line.text);
    if (heading) {
      out.push({ kind: "heading", level: heading[1].length, ...trimmed(text, line.from + heading[0].length, line.to) });
      i++;
      continue;
    }
    if (line.text.includes("|") && DELIMITER.test(all[i + 1]?.text ?? "") && all[i + 1].text.includes("|")) {
      const rows = [cells(text, line)];
      i += 2;
      while (i < all.length && all[i].text.includes("|")) rows.push(cells(text, all[i++]));
      out.push({ kind: "table", rows, from: rows[0][0].from, to: all[i - 1].to });
      continue;
    }
    if (RULE.test(line.text)) {
      out.push({ kind: "rule", from: line.from, to: line.from });
      i++;
      continue;
    }
    const item = ITEM.exec(line.text);
    if (item) {
      let end = i + 1;
      while (end < all.length && continues(all[end].text) && /^\s/.test(all[end].text)) end++;
      const depth = Math.min(4, Math.floor(item[1].replace(/\t/g, "    ").length / 2));
      out.push({ kind: "item", depth, marker: item[2], ...trimmed(text, line.from + item[0].length, all[end - 1].to) });
      i = end;
      continue;
    }
    if (QUOTE.test(line.text)) {
      const skip = QUOTE.exec(line.text)[0].length;
      out.push({ kind: "quote", ...trimmed(text, line.from + skip, line.to) });
      i++;
      continue;
    }
    let end = i + 1;
    while (end < all.length && continues(all[end].text)) end++;
    out.push({ kind: "paragraph", ...trimmed(text, line.from, all[end - 1].to) });
    i = end;
  }
  return out;
}

// Whether a line goes on with the paragraph or item above it.
function continues(line) {
  return line.trim() !== "" && ![FENCE, HEADING, ITEM, QUOTE, RULE].some((start) => start.test(line));
}

const INLINE = /\\([!-/:-@[-`{-~])|(`+)(.+?)\2(?!`)|(\*\*|__)(?=\S)(.+?\S?)\4|(?<![\p{L}\p{N}*_])([*_])(?=\S)([^*_]*[^\s*_])\6(?![\p{L}\p{N}])|!?\[([^\]\n]*)\]\(([^()\s]*)(?:\s+"[^"]*")?\)|<br ?\/?>/gsu;

/** Pieces of a line or paragraph: `{ from, to, style }` with style "" , "code", "strong", "em", "link" or "break". */
export function inline(text, from, to, style = "") {
  const out = [];
  const part = text.slice(from, to);
  let done = 0;
  const plain = (end) => {
    if (end > done) out.push({ from: from + done, to: from + end, style });
  };
  for (const match of part.matchAll(INLINE)) {
    plain(match.index);
    done = match.index + match[0].length;
    const [start, end] = [from + match.index, from + done];
    if (match[1] !== undefined) out.push({ from: start + 1, to: end, style });
    else if (match[2]) out.push({ from: start + match[2].length, to: end - match[2].length, style: "code" });
    else if (match[4]) out.push(...inline(text, start + 2, end - 2, "strong"));
    else if (match[6]) out.push(...inline(text, start + 1, end - 1, style || "em"));
    else if (match[8] !== undefined) {
      const open = start + match[0].indexOf("[") + 1;
      if (match[8]) out.push({ from: open, to: open + match[8].length, style: "link" });
    } else out.push({ from: start, to: start, style: "break" });
  }
  plain(part.length);
  return out;
}
