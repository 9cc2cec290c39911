// The search tab: passages with their scores, and on demand how each came about.

import { at, call, count, make, say } from "./net.js";
import { open } from "./source.js";

let latest = 0;

/** Wires the form; `collection()` names the collection searched. */
export function start(collection) {
  const go = (event) => {
    event?.preventDefault();
    search(collection());
  };
  at("search-form").addEventListener("submit", go);
  // A changed switch shows its effect at once.
  at("search-form").addEventListener("change", (event) => {
    if (event.target.id !== "query" && at("query").value.trim()) go();
  });
}

async function search(collection) {
  const turn = ++latest;
  const query = at("query").value.trim();
  if (!query) return;
  const explain = at("explain").checked;
  const mode = new FormData(at("search-form")).get("mode");
  const filter = at("filter").value.trim() || null;
  say(at("search-status"), "Searching…");
  try {
    const response = await call("POST", "/v1/search", { collection, query, mode, filter, explain, k: 20 });
    if (turn !== latest) return;
    const found = response.hits.length
      ? `${count(response.hits.length, "passage")} in ${response.timings.total.toFixed(1)} ms`
      : "Nothing found.";
    const missing = response.degraded.map(({ leg, reason }) => `The ${leg} part is missing: ${reason}.`).join(" ");
    const meant = response.did_you_mean ? `Did you mean “${response.did_you_mean}”?` : "";
    say(at("search-status"), [found, meant, missing].filter(Boolean).join(" "), missing ? "warn" : "");
    at("hits").replaceChildren(...response.hits.map((hit) => show(collection, hit)));
    timings(explain ? response.timings : null);
  } catch (error) {
    if (turn !== latest) return;
    at("hits").replaceChildren();
    timings(null);
    say(at("search-status"), error.message, "bad");
  }
}

function show(collection, hit) {
  const from = [hit.source, hit.page && `page ${hit.page}`, hit.headings.join(" › ")].filter(Boolean).join(" · ");
  return make("li", {},
    make("button", { type: "button", onclick: (event) => open(collection, { ...hit, quote: hit.text }, event.currentTarget) },
      make("div", { class: "title" }, make("span", {}, hit.title || hit.source), make("span", { class: "score" }, hit.score.toFixed(3))),
      make("div", { class: "from" }, from),
      make("div", { class: "text" }, hit.text)),
    hit.explain ? why(hit.explain) : null);
}

function why(explain) {
  const number = (value, digits) => (value === null || value === undefined ? "–" : value.toFixed(digits));
  const row = (name, leg) => leg && make("tr", {},
    make("th", { scope: "row" }, name), make("td", {}, leg.rank ? `#${leg.rank}` : "–"),
    make("td", {}, number(leg.score, 3)), make("td", {}, number(leg.normalized, 2)));
  return make("table", { class: "why" },
    make("thead", {}, make("tr", {}, ...["", "rank", "score", "normalised"].map((name) => make("th", { scope: "col" }, name)))),
    make("tbody", {}, row("meaning", explain.dense), row("words", explain.keyword),
      make("tr", {}, make("th", { scope: "row" }, "together"), make("td", {}, `#${explain.fused_rank}`), make("td", {}, number(explain.fused, 3)), make("td", {}, "")),
      explain.rerank === undefined ? null
        : make("tr", {}, make("th", { scope: "row" }, "reranked"), make("td", {}, ""), make("td", {}, number(explain.rerank, 3)), make("td", {}, ""))));
}

function timings(stages) {
  const box = at("timings");
  box.hidden = !stages;
  if (!stages) return;
  const most = Math.max(...Object.values(stages), 0.001);
  box.replaceChildren(...Object.entries(stages).flatMap(([stage, ms]) => {
    const bar = make("span", { class: "bar" });
    bar.style.width = `${(100 * ms) / most}%`;
    return [make("span", {}, stage), bar, make("span", { class: "ms" }, `${ms.toFixed(2)} ms`)];
  }));
}
