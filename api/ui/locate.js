// Finds the words of a stored passage among the pieces of text that a drawn PDF page is made of.
//
// The two were made by different readers: spaces, hyphens at line ends, ligatures, Markdown signs and the order of table
// cells differ. Letters and digits do not, so only they are compared.

// One folded character, or several for a ligature (ﬁ → f, i).
function fold(character) {
  return character.normalize("NFKD").toLowerCase().replace(/[^\p{L}\p{N}]/gu, "");
}

/** Letters and digits of some pieces, and for each of them where it came from. */
export function folded(pieces) {
  let text = "";
  const piece = [];
  const offset = [];
  pieces.forEach((string, index) => {
    let at = 0;
    for (const character of string) {
      const plain = fold(character);
      for (let unit = 0; unit < plain.length; unit++) {
        piece.push(index);
        offset.push([at, at + character.length]);
      }
      text += plain;
      at += character.length;
    }
  });
  return { text, piece, offset };
}

// How many characters two strings share at their ends.
function sharedEnd(a, b) {
  let n = 0;
  while (n < a.length && n < b.length && a[a.length - 1 - n] === b[b.length - 1 - n]) n++;
  return n;
}

function occurrences(text, wanted) {
  const found = [];
  for (let at = text.indexOf(wanted); at >= 0; at = text.indexOf(wanted, at + 1)) found.push(at);
  return found;
}

// The place of `wanted` whose surroundings are most like the passage's own; the one nearest to `near` among equals.
function best(text, wanted, before, near) {
  const score = (at) => sharedEnd(text.slice(Math.max(0, at - 200), at), before);
  return occurrences(text, wanted)
    .map((at) => ({ at, score: score(at), distance: near === null ? at : Math.abs(at - near) }))
    .sort((a, b) => b.score - a.score || a.distance - b.distance)[0]?.at;
}

/**
 * Where `quote` stands among `pieces`: `{ ranges: [{ piece, from, to }], share }`, ranges in units of each piece, `share` how
 * much of the quote they hold (1 for a whole match, 0 for none). `before` is the text that stands before the quote: it
 * tells repeated words apart.
 */
export function locate(pieces, quote, before = "") {
  const page = folded(pieces);
  const wanted = folded([quote]).text;
  if (!wanted) return { ranges: [], share: 0 };
  const context = folded([before.slice(-400)]).text;
  const whole = best(page.text, wanted, context, null);
  if (whole !== undefined) return { ranges: closed(ranges(page, [[whole, whole + wanted.length]]), pieces, quote), share: 1 };

  // Cells, rows and lines, each for itself, near one another: a table's order differs from how its page is drawn.
  const parts = quote.split(/\||\n+|(?<=[.!?:;])\s+/).map((part) => folded([part]).text).filter((part) => part.length > 1);
  const spans = [];
  let near = null;
  let held = 0;
  let previous = context;
  // Long parts first: they are found without doubt, and say where the short ones must be.
  const order = parts.map((part, index) => ({ part, index })).sort((a, b) => b.part.length - a.part.length || a.index - b.index);
  for (const { part } of order) {
    if (near === null && part.length < 6) continue;
    const at = best(page.text, part, previous, near);
    if (at === undefined || (part.length < 4 && Math.abs(at - near) > 4 * wanted.length)) continue;
    spans.push([at, at + part.length]);
    held += part.length;
    near ??= at;
    previous = "";
  }
  const byParts = { spans, held };
  const byRuns = held < 0.95 * wanted.length ? runs(page.text, wanted) : byParts;
  const better = byRuns.held > byParts.held ? byRuns : byParts;
  return { ranges: ranges(page, merged(better.spans)), share: Math.min(1, better.held / wanted.length) };
}

const SHORTEST_RUN = 8;

// The longest runs of characters that both have, from the beginning of `wanted` on, each as near to the one before as can be:
// what is left where the two readers disagree about a sign or the order of columns.
function runs(text, wanted) {
  const spans = [];
  let held = 0;
  let end = 0;
  for (let at = 0; at + SHORTEST_RUN <= wanted.length; ) {
    const seeds = occurrences(text, wanted.slice(at, at + SHORTEST_RUN));
    if (!seeds.length) {
      at++;
      continue;
    }
    const start = seeds.sort((a, b) => Math.abs(a - end) - Math.abs(b - end))[0];
    let length = SHORTEST_RUN;
    while (at + length < wanted.length && text[start + length] === wanted[at + length]) length++;
    spans.push([start, start + length]);
    held += length;
    at += length;
    end = start + length;
  }
  return { spans, held };
}

// The full stop of a sentence is neither letter nor digit, but it is part of the sentence.
function closed(found, pieces, quote) {
  const last = found.at(-1);
  const sign = quote.trimEnd().at(-1);
  if (last && !fold(sign) && pieces[last.piece][last.to] === sign) last.to++;
  return found;
}

function merged(spans) {
  const sorted = [...spans].sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  const out = [];
  for (const [from, to] of sorted) {
    const last = out.at(-1);
    if (last && from <= last[1]) last[1] = Math.max(last[1], to);
    else out.push([from, to]);
  }
  return out;
}

// Spans of folded characters as ranges of the pieces; what lies between two characters of a span goes with it.
function ranges(page, spans) {
  const out = [];
  for (const [from, to] of spans) {
    for (let at = from; at < to; at++) {
      const last = out.at(-1);
      const [start, end] = page.offset[at];
      if (last && at > from && last.piece === page.piece[at]) last.to = end;
      else out.push({ piece: page.piece[at], from: start, to: end });
    }
  }
  return out;
}
