// Evaluation reports as plots: runs, comparisons and gates, out of the JSON files that `wellspring eval` writes.

import { h, s, say } from "./dom.js";
import { T } from "./text.js";

const SHOWN = ["ndcg@10", "recall@100", "recall@10", "mrr@10", "map", "hit@1", "span-recall@5"];
const LARGEST = 200 << 20;

/** A section that takes files; they are read by this page and go nowhere. */
export function section() {
  const status = h("p", { class: "status", role: "status" });
  const found = h("div", {});
  const take = async ({ target }) => {
    for (const file of [...target.files]) {
      try {
        if (file.size > LARGEST) throw new Error(T.runs.tooLarge);
        const drawn = draw(JSON.parse(await file.text()));
        if (!drawn.length) throw new Error(T.runs.unknown);
        found.prepend(h("article", { class: "report" }, h("header", { class: "list-head" }, h("h3", {}, file.name),
          h("button", { type: "button", class: "quiet", onclick: ({ target: button }) => button.closest("article").remove() }, T.runs.close)), drawn));
        say(status, "");
      } catch (error) {
        say(status, T.runs.bad(file.name, error instanceof SyntaxError ? T.runs.noJson : error.message), "bad");
      }
    }
    target.value = "";
  };
  const input = h("input", { id: "reports", type: "file", accept: ".json,application/json", multiple: true, class: "unseen", tabindex: -1, "aria-hidden": "true", onchange: take });
  return h("section", {}, h("h2", {}, T.runs.title), h("p", { class: "faint" }, T.runs.lead),
    h("pre", { class: "command" }, T.runs.command),
    h("p", {}, h("button", { type: "button", class: "go", onclick: () => input.click() }, T.runs.choose), input), status, found);
}

/** Whatever of it is known, as elements; nothing for a file of another kind. */
export function draw(report) {
  if (Array.isArray(report)) return report.flatMap(draw);
  if (!report || typeof report !== "object") return [];
  if (Array.isArray(report.sets)) return report.sets.flatMap(ofSet);
  if (Array.isArray(report.checks) && "passed" in report) return [gate(report), ...(report.comparison ? [comparison(report.comparison)] : [])];
  if (Array.isArray(report.systems) && report.baseline) return [comparison(report)];
  if (Array.isArray(report.reports)) return ofSet(report);
  if (report.metrics && "queries" in report) return ofSet({ reports: [report] });
  return [];
}

function ofSet({ dataset, reports = [], comparison: compared, kinds = [] }) {
  return [means(dataset ?? reports[0]?.dataset ?? T.runs.aRun, reports), compared ? comparison(compared) : null, kinds.length ? ofKinds(kinds) : null].filter(Boolean);
}

const share = (value) => value.toFixed(3);

// A point with its interval on a line from `low` to `high`.
function whisker({ value, from, to, low, high, tone = "dense", zero = false }) {
  const x = (at) => (((at - low) / (high - low || 1)) * 200).toFixed(2);
  return s("svg", { viewBox: "0 0 200 14", class: `whisker ${tone}`, preserveAspectRatio: "none", "aria-hidden": "true" },
    s("line", { x1: 0, x2: 200, y1: 7, y2: 7, class: "axis" }),
    zero ? s("line", { x1: x(0), x2: x(0), y1: 0, y2: 14, class: "axis" }) : null,
    s("line", { x1: x(from), x2: x(to), y1: 7, y2: 7, class: "reach" }),
    s("rect", { x: Number(x(value)) - 1.5, y: 2, width: 3, height: 10 }));
}

const figure = (rows, head) => h("div", { class: "scroll" }, h("table", { class: "plot" }, h("thead", {}, h("tr", {}, head.map((words) => h("th", { scope: "col" }, words)))), h("tbody", {}, rows)));

function means(dataset, reports) {
  const names = SHOWN.filter((name) => reports.some(({ metrics }) => name in metrics));
  const measures = names.length ? names : Object.keys(reports[0]?.metrics ?? {}).slice(0, 6);
  const rows = measures.flatMap((measure) => reports.filter(({ metrics }) => measure in metrics).map((report, index, all) => {
    const value = report.metrics[measure];
    const { low = value, high = value } = report.intervals?.[measure] ?? {};
    return h("tr", { class: index === 0 ? "first" : "" },
      index === 0 ? h("th", { scope: "rowgroup", rowSpan: all.length }, measure) : null,
      h("td", {}, report.mode ?? ""), h("td", { class: "drawn" }, whisker({ value, from: low, to: high, low: 0, high: 1 })),
      h("td", { class: "figure" }, share(value)), h("td", { class: "figure faint" }, low === high ? "" : `${share(low)}–${share(high)}`));
  }));
  const queries = reports[0]?.queries ?? 0;
  return h("section", {}, h("h4", {}, `${dataset}: ${T.plural(queries, "query", "queries")}`), figure(rows, [T.runs.measure, T.runs.mode, T.runs.zeroToOne, T.runs.mean, T.runs.interval]));
}

function comparison({ baseline, systems, queries, family }) {
  const all = systems.flatMap(({ measures }) => Object.values(measures).flatMap(({ interval, mean }) => [interval?.low ?? mean, interval?.high ?? mean]));
  const reach = Math.max(0.01, ...all.map(Math.abs));
  const rows = systems.flatMap(({ name, measures }) => Object.entries(measures).map(([measure, pair], index, every) => {
    const { mean, interval, p_holm: p, wins, ties, losses } = pair;
    const sure = p < 0.05;
    const tone = !sure ? "none" : mean > 0 ? "joined" : "keyword";
    return h("tr", { class: index === 0 ? "first" : "" },
      index === 0 ? h("th", { scope: "rowgroup", rowSpan: every.length }, name) : null, h("td", {}, measure),
      h("td", { class: "drawn" }, whisker({ value: mean, from: interval?.low ?? mean, to: interval?.high ?? mean, low: -reach, high: reach, tone, zero: true })),
      h("td", { class: "figure" }, `${mean >= 0 ? "+" : "−"}${share(Math.abs(mean))}`), h("td", { class: `figure ${sure ? "" : "faint"}` }, T.runs.p(p)),
      h("td", { class: "figure faint" }, `${wins} / ${ties} / ${losses}`));
  }));
  const moved = systems.flatMap(({ name, moved: queriesMoved = [] }) => queriesMoved.slice(0, 5).map((one) => ({ name, ...one })));
  return h("section", {}, h("h4", {}, T.runs.against(baseline, queries)), figure(rows, [T.runs.system, T.runs.measure, T.runs.difference, T.runs.mean, T.runs.afterHolm(family), T.runs.wins]),
    moved.length ? h("details", { class: "fold" }, h("summary", {}, T.runs.moved),
      figure(moved.map(({ name, query, baseline: was, system }) => h("tr", {}, h("td", {}, name), h("td", {}, query), h("td", { class: "figure" }, `${share(was)} → ${share(system)}`))), [T.runs.system, T.runs.query, T.runs.value])) : null);
}

function gate({ passed, checks }) {
  return h("section", {}, h("h4", {}, T.runs.gate), h("p", { class: passed ? "good" : "bad" }, passed ? T.runs.passed : T.runs.failed),
    h("ul", { class: "checks" }, checks.map((check) => h("li", { class: check.passed ? "good" : "bad" }, h("strong", {}, check.passed ? T.runs.ok : T.runs.notOk), " ", h("span", {}, check.name), h("small", {}, check.detail)))));
}

function ofKinds(kinds) {
  const rows = kinds.map(({ kind, queries, mean, interval }) =>
    h("tr", {}, h("th", { scope: "row" }, kind), h("td", { class: "drawn" }, whisker({ value: mean, from: interval.low, to: interval.high, low: 0, high: 1 })),
      h("td", { class: "figure" }, share(mean)), h("td", { class: "figure faint" }, T.plural(queries, "query", "queries"))));
  return h("section", {}, h("h4", {}, T.runs.kinds), figure(rows, [T.runs.kind, T.runs.zeroToOne, T.runs.mean, T.runs.queries]));
}
