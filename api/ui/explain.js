// Draws where hits came from: the legs, how they were joined, what was left out and how long each stage took.

import { h, s } from "./dom.js";
import { T } from "./text.js";

const LEGS = ["dense", "keyword"];
const number = (value, digits = 2) => (value === null || value === undefined ? "–" : value.toFixed(digits));

/** The whole search as a flow from the legs to what is shown, with its timings. */
export function story({ explain, timings, hits }) {
  const legs = LEGS.map((name) => {
    const leg = explain.legs.find((one) => one.leg === name);
    return step(T.explain.legs[name], leg ? T.explain.listed(leg.hits, explain.depth) : T.explain.off, leg ? name : "off",
      name === "dense" && explain.vector_index ? T.explain.index(explain.vector_index.engine, explain.vector_index.quantization) : null);
  });
  const dropped = Object.entries(explain.dropped);
  const method = T.explain.method[explain.fusion.method]?.(explain.fusion.weight) ?? explain.fusion.method;
  const lost = dropped.map(([reason, n]) => `${n.toLocaleString("en")} ${T.explain.reasons[reason] ?? reason}`).join(", ") || T.explain.nothingDropped;
  return h("section", { class: "story", "aria-label": T.explain.title },
    h("h2", {}, T.explain.title),
    explain.candidates === null ? null : h("p", { class: "faint" }, T.explain.candidates(explain.candidates)),
    h("ol", { class: "flow" },
      h("li", { class: "legs" }, h("ul", {}, legs)),
      step(T.explain.together, T.explain.fused(explain.fused), "joined", explain.legs.length > 1 ? method : null),
      step(T.explain.dropped, lost, dropped.length ? "dropped" : "off", named(explain.dropped_hits, hits)),
      step(T.explain.shown, T.passages(hits.length), "shown", null)),
    times(timings));
}

function step(title, text, tone, more) {
  return h("li", { class: `step ${tone}` }, h("strong", {}, title), h("span", {}, text), more ? h("small", {}, more) : null);
}

// Which of the hits the left-out ones repeat.
function named(dropped, hits) {
  const places = new Map(hits.map(({ chunk_id }, index) => [chunk_id, index + 1]));
  const of = [...new Set(dropped.map(({ of }) => places.get(of)).filter(Boolean))];
  return of.length ? of.map(T.explain.of).join(", ") : null;
}

function times(timings) {
  const { total, ...stages } = timings;
  const most = Math.max(total, 0.001);
  const rows = [...Object.entries(stages).sort((a, b) => b[1] - a[1]), ["total", total]];
  return h("table", { class: "times" }, h("caption", { class: "unseen" }, T.explain.time), h("tbody", {}, rows.map(([stage, ms]) =>
    h("tr", { class: stage === "total" ? "total" : "" },
      h("th", { scope: "row" }, T.explain.stages[stage] ?? stage),
      h("td", {}, bar(ms / most)), h("td", { class: "figure" }, T.ms(ms))))));
}

function bar(share, tone = "") {
  const width = Math.max(0.4, 100 * Math.min(1, Math.max(0, share)));
  return s("svg", { class: `bar ${tone}`, viewBox: "0 0 100 6", preserveAspectRatio: "none", "aria-hidden": "true" }, s("rect", { width: String(width), height: "6", rx: "1" }));
}

/** One hit: its rank and score in each leg, and what was added on the way to its place. */
export function origin(hit, rank, { explain, hits }) {
  const own = hit.explain;
  const weight = explain.fusion.method === "convex" ? { dense: explain.fusion.weight, keyword: 1 - explain.fusion.weight } : null;
  const bestOf = (pick) => Math.max(...hits.map((other) => pick(other.explain ?? {}) ?? 0), 1e-9);
  const rows = LEGS.filter((name) => own[name]).map((name) => {
    const leg = own[name];
    const best = bestOf((other) => other[name]?.score);
    const what = leg.rank === null ? T.explain.unlisted : T.from([T.explain.rank(leg.rank), `${name === "dense" ? T.explain.cosine : T.explain.bm25} ${number(leg.score)}`]);
    const added = weight && explain.legs.length > 1 && leg.normalized !== null ? signed(weight[name] * leg.normalized) : "";
    return row(T.explain.legs[name], what, leg.score === null ? 0 : leg.score / best, name, added);
  });
  for (const link of own.links ?? []) rows.push(row(T.explain.links, T.explain.link(link.name, link.kind), null, "", signed(link.added)));
  for (const boost of own.boosts ?? []) rows.push(row(T.explain.boosts, T.explain.boost(boost.field), boost.share, "", signed(boost.added)));
  rows.push(row(T.explain.together, T.explain.rank(own.fused_rank), own.fused / bestOf((other) => other.fused), "joined", number(own.fused)));
  if (own.late !== undefined) rows.push(row(T.explain.late, "", own.late, "", number(own.late)));
  if (own.proximity !== undefined) rows.push(row(T.explain.proximity, "", own.proximity, "", number(own.proximity)));
  if (own.rerank !== undefined) rows.push(row(T.explain.rerank, own.relevance === undefined ? "" : T.explain.relevance(own.relevance), own.relevance ?? null, "", number(own.rerank)));
  rows.push(row(T.explain.shown, T.explain.rank(rank), null, "shown", number(hit.score)));
  return h("table", { class: "origin" }, h("caption", { class: "unseen" }, T.explain.hit), h("tbody", {}, rows));
}

const signed = (value) => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(2)}`;

function row(name, what, share, tone, figure) {
  return h("tr", { class: tone }, h("th", { scope: "row" }, name), h("td", { class: "what" }, what), h("td", {}, share === null ? "" : bar(share, tone)), h("td", { class: "figure" }, figure));
}
