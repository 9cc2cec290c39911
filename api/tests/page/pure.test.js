// The parts of the page that need no browser: event streams, offsets, finding words on a page, Markdown, marking, metrics, judgements.

import assert from "node:assert/strict";
import { test } from "node:test";

const ui = (name) => import(new URL(`../../ui/${name}.js`, import.meta.url));
const { reader } = await ui("sse");
const { Offsets } = await ui("bytes");
const { locate } = await ui("locate");
const { blocks, inline } = await ui("markdown");
const { alike, terms } = await ui("marks");
const { buckets, quantile, read, since, sum } = await ui("exposition");
const { lines, pool, qrels, queries, questions } = await ui("judgements");

test("events are the same however the stream is cut", () => {
  const stream = ": hello\n\nevent: token\ndata: {\"a\":1}\n\nevent: done\r\ndata: one\r\ndata: two\r\n\r\ndata:bare\n\nevent: lost\ndata: unfinished";
  const wanted = [{ name: "token", data: "{\"a\":1}" }, { name: "done", data: "one\ntwo" }, { name: "message", data: "bare" }];
  for (let size = 1; size <= stream.length; size++) {
    const events = reader();
    const got = [];
    for (let at = 0; at < stream.length; at += size) got.push(...events.push(stream.slice(at, at + size)));
    assert.deepEqual(got, wanted, `cut into pieces of ${size}`);
  }
});

test("byte offsets lead to the right characters", () => {
  const text = "aé€😀\n".repeat(700);
  const offsets = new Offsets(text);
  const encoder = new TextEncoder();
  for (let unit = 0, byte = 0; unit < text.length; ) {
    assert.equal(offsets.unit(byte), unit);
    const character = String.fromCodePoint(text.codePointAt(unit));
    byte += encoder.encode(character).length;
    unit += character.length;
  }
  assert.equal(offsets.unit(1e9), text.length);
  assert.equal(new Offsets("").unit(0), 0);
});

const taken = (pieces, { ranges }) => ranges.map(({ piece, from, to }) => pieces[piece].slice(from, to));

test("words are found across ligatures, hyphens and spaces", () => {
  const pieces = ["The of", "ﬁce pays for the jour-", "", "ney and", " the  hotel.", "Nothing else."];
  const found = locate(pieces, "The office pays for the journey and the hotel.");
  assert.equal(found.share, 1);
  assert.deepEqual(taken(pieces, found), ["The of", "ﬁce pays for the jour", "ney and", " the  hotel.".trimStart()]);
});

test("of words that stand twice, those in their place are taken", () => {
  const pieces = ["Costs in 2021:", "see note 4", "Costs in 2022:", "see note 4"];
  assert.deepEqual(locate(pieces, "see note 4", "…Costs in 2022:").ranges.map(({ piece }) => piece), [3]);
  assert.deepEqual(locate(pieces, "see note 4", "…Costs in 2021:").ranges.map(({ piece }) => piece), [1]);
});

test("a table is found cell by cell in another order", () => {
  const pieces = ["Net sales", "Operating income", "$ 34,229", "$ 5,345"];
  const found = locate(pieces, "| Net sales | $ 34,229 |\n| Operating income | $ 5,345 |");
  assert.equal(found.share, 1);
  assert.equal(new Set(found.ranges.map(({ piece }) => piece)).size, 4);
});

test("what is not there is not found", () => {
  assert.deepEqual(locate(["Something else entirely"], "The otter swims at night."), { ranges: [], share: 0 });
  assert.deepEqual(locate([], "anything"), { ranges: [], share: 0 });
  assert.deepEqual(locate(["text"], "***"), { ranges: [], share: 0 });
});

test("stored Markdown is read into blocks that know their place", () => {
  const text = "# A *title*\n\nTwo\nlines.\n\n- one\n  more\n- two\n\n| a | b\\|c |\n| --- | --- |\n| 1 | |\n\n```\n# no heading\n```\n> said\n\n---\n1. first";
  const found = blocks(text);
  assert.deepEqual(found.map(({ kind }) => kind), ["heading", "paragraph", "item", "item", "table", "code", "quote", "rule", "item"]);
  const shown = (block) => text.slice(block.from, block.to);
  assert.equal(shown(found[1]), "Two\nlines.");
  assert.equal(shown(found[2]), "one\n  more");
  assert.deepEqual(found[4].rows.map((row) => row.map(shown)), [["a", "b\\|c"], ["1", ""]]);
  assert.equal(shown(found[5]), "# no heading");
});

test("no word of a text is lost, whatever it looks like", () => {
  const hard = ["| lonely", "**", "[x](", "```\nnever closed", "* * *x", "a_b_c __d__ `e", "<script>alert(1)</script>", "> \n>", "|-|\n|-|", "\\"];
  for (const text of [...hard, hard.join("\n"), hard.join("\n\n")]) {
    const words = blocks(text).flatMap((block) => (block.rows ? block.rows.flat() : [block]))
      .flatMap(({ from, to }) => inline(text, from, to)).map(({ from, to }) => text.slice(from, to)).join("");
    assert.equal(words.replace(/\W|_/g, ""), text.replace(/\W|_/g, ""), JSON.stringify(text));
  }
});

test("a link is its words and leads nowhere", () => {
  const text = "See [the **site**](javascript:alert(1)) or ![pic](x.png).";
  assert.ok(inline(text, 0, text.length).every(({ style }) => ["", "link", "strong"].includes(style)));
  const plainLink = "See [here](x) now";
  assert.deepEqual(inline(plainLink, 0, plainLink.length).map(({ from, to, style }) => [plainLink.slice(from, to), style]), [["See ", ""], ["here", "link"], [" now", ""]]);
});

test("word forms are marked, fillers and strangers are not", () => {
  assert.deepEqual(terms("What may a hotel cost?"), ["hotel", "cost"]);
  assert.deepEqual(terms("who is it"), ["who", "is", "it"]);
  for (const [a, b] of [["hotel", "hotels"], ["city", "city"], ["travelling", "travelled"]]) assert.ok(alike(a, b), `${a} ${b}`);
  for (const [a, b] of [["cost", "coast"], ["note", "notice"], ["art", "arts"], ["policy", "polite"]]) assert.ok(!alike(a, b), `${a} ${b}`);
});

test("metrics are read, and quantiles out of their buckets", () => {
  const text = "# HELP a b\na_bucket{s=\"x\",le=\"0.1\"} 5\na_bucket{s=\"x\",le=\"1\"} 9\na_bucket{s=\"x\",le=\"+Inf\"} 10\nn{q=\"a\\\"b\"} 3\nn 4\n";
  const families = read(text);
  assert.deepEqual(families.get("n").map(({ labels, value }) => [labels.q, value]), [["a\"b", 3], [undefined, 4]]);
  assert.deepEqual([sum(families, "n"), sum(families, "n", { q: "a\"b" }), sum(families, "none")], [7, 3, 0]);
  const cumulative = buckets(families, "a", { s: "x" });
  assert.deepEqual(cumulative, [[0.1, 5], [1, 9], [Infinity, 10]]);
  assert.equal(quantile(cumulative, 0.5), 0.1);
  assert.ok(Math.abs(quantile(cumulative, 0.7) - 0.55) < 1e-9);
  assert.equal(quantile(cumulative, 1), 1, "beyond the last bound nothing is known");
  assert.equal(quantile([], 0.5), null);
  assert.deepEqual(since([[0.1, 2], [1, 4], [Infinity, 4]], cumulative), [[0.1, 3], [1, 5], [Infinity, 6]]);
  assert.deepEqual(since([[0.1, 50], [Infinity, 50]], cumulative), cumulative, "a server that began anew");
});

test("what is judged is pooled once, told in no order of rank, and written as eval reads it", () => {
  const hit = (document_id, text) => ({ document_id, text });
  const rankings = [["a", "b", "c", "d"], ["d", "e"]].map((ids) => ids.map((id) => hit(id, `passage of ${id}`)));
  const pooled = pool("q?", rankings).map(({ document_id }) => document_id);
  assert.deepEqual([...pooled].sort(), ["a", "b", "c", "d", "e"]);
  assert.deepEqual(pooled, pool("q?", rankings.toReversed()).map(({ document_id }) => document_id));
  assert.deepEqual(questions("a?\n\n a? \nid\tb?\n{\"_id\": \"1\", \"text\": \"c?\"}\n"), ["a?", "b?", "c?"]);
  const judged = { "a?": { "x y": 3, z: 0 }, "b?": { "t\tab": 2, z: 1 } };
  assert.equal(qrels(judged), "query-id\tcorpus-id\tscore\nq1\tx y\t3\nq1\tz\t0\nq2\tz\t1\n");
  assert.equal(queries(judged), "{\"_id\":\"q1\",\"text\":\"a?\"}\n{\"_id\":\"q2\",\"text\":\"b?\"}\n");
  assert.deepEqual(lines(judged).trim().split("\n").map((line) => JSON.parse(line).document), ["x y", "t\tab", "z"]);
});
