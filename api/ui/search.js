// The Search view: passages with the query's words marked, filters with their errors, and on demand how each came about.

import { call } from "./api.js";
import { announce, at, h, say } from "./dom.js";
import * as explain from "./explain.js";
import { marked } from "./marks.js";
import { current, onChoice } from "./session.js";
import { open } from "./source.js";
import { T } from "./text.js";

const MODES = ["hybrid", "dense", "keyword"];
const HITS = 20;
// A field with more values than this would be a list of its own.
const VALUES = 8;
let turn = 0;

/** Builds the view into its element. */
export function start(view) {
  view.append(
    h("h1", { class: "unseen" }, T.search.title),
    h("form", { id: "search-form", role: "search" },
      h("div", { class: "line" },
        h("label", { class: "unseen", for: "query" }, T.search.label),
        h("input", { id: "query", type: "text", autocomplete: "off", placeholder: T.search.placeholder, required: true, maxLength: 2000 }),
        h("button", { class: "go" }, T.search.go)),
      h("div", { class: "options" },
        h("fieldset", { class: "segments" }, h("legend", { class: "unseen" }, T.search.mode),
          MODES.map((mode) => h("label", {}, h("input", { type: "radio", name: "mode", value: mode, checked: mode === "hybrid" }), h("span", {}, T.search.modes[mode])))),
        h("label", { class: "check" }, h("input", { type: "checkbox", id: "explain" }), T.search.explain),
        h("div", { class: "grow" }, h("label", { for: "filter" }, T.search.filter),
          h("input", { id: "filter", type: "text", autocomplete: "off", spellcheck: false, placeholder: T.search.filterHint, title: T.search.filterHelp, "aria-describedby": "filter-error" }))),
      h("p", { id: "filter-error", class: "status bad", role: "alert" })),
    h("div", { id: "search-status", class: "status", role: "status" }, T.search.idle),
    h("div", { id: "facets", class: "facets", hidden: true }),
    h("div", { id: "story" }),
    h("ol", { id: "hits", class: "hits" }));
  const go = (event) => {
    event?.preventDefault();
    search();
  };
  at("search-form").addEventListener("submit", go);
  // A changed switch shows its effect at once.
  at("search-form").addEventListener("change", (event) => {
    if (event.target.id !== "query" && at("query").value.trim()) go();
  });
  onChoice(() => {
    turn++;
    clear();
    say(at("search-status"), T.search.idle);
  });
}

function clear() {
  at("hits").replaceChildren();
  at("story").replaceChildren();
  at("facets").hidden = true;
}

async function search() {
  const mine = ++turn;
  const collection = current();
  const query = at("query").value.trim();
  if (!query) return;
  const filter = at("filter").value.trim() || null;
  const mode = new FormData(at("search-form")).get("mode");
  say(at("search-status"), T.search.searching);
  complain("");
  try {
    const found = await call("POST", "/v1/search", { collection, query, mode, filter, explain: at("explain").checked, k: HITS });
    if (mine !== turn) return;
    const missing = found.degraded.map(({ leg, reason }) => T.search.degraded(leg, reason)).join(" ");
    const summary = found.hits.length ? T.search.found(found.hits.length, found.timings.total) : filter ? T.search.noneFilter : T.search.none;
    say(at("search-status"), [summary, missing].filter(Boolean).join(" "), missing ? "warn" : "");
    if (found.did_you_mean) at("search-status").append(" ", T.search.meant, " ", correction(found.did_you_mean), "?");
    announce(summary);
    facets(found.hits);
    at("story").replaceChildren(...(found.explain ? [explain.story(found)] : []));
    at("hits").replaceChildren(...found.hits.map((hit, index) => show(collection, query, hit, index + 1, found)));
  } catch (error) {
    if (mine !== turn) return;
    clear();
    if (error.path?.startsWith("filter")) {
      say(at("search-status"), "");
      complain(error.message);
    } else {
      say(at("search-status"), error.message, "bad");
    }
  }
}

function complain(text) {
  at("filter-error").textContent = text;
  if (text) at("filter").setAttribute("aria-invalid", "true");
  else at("filter").removeAttribute("aria-invalid");
}

function correction(words) {
  return h("button", { type: "button", class: "text", onclick: () => {
    at("query").value = words;
    search();
  } }, words);
}

function show(collection, query, hit, rank, found) {
  const from = T.from([hit.source, hit.page && T.page(hit.page), hit.headings.join(" › ")]);
  const heading = /^#+\s.*\n+/.exec(hit.text)?.[0] ?? "";
  const body = heading.length < hit.text.length ? hit.text.slice(heading.length) : hit.text;
  // Prose that was wrapped by hand would be wrapped twice here.
  const text = body.replace(/([^\n|])\n(?=[\p{L}\p{N}])/gu, "$1 ");
  return h("li", {},
    h("button", { type: "button", onclick: (event) => open(collection, { ...hit, quote: hit.text }, event.currentTarget) },
      h("span", { class: "title" }, h("span", {}, hit.title || hit.source), h("span", { class: "score", title: T.search.score }, hit.score.toFixed(2))),
      h("span", { class: "from" }, from),
      h("span", { class: "text" }, marked(text, query))),
    hit.explain ? explain.origin(hit, rank, found) : null);
}

// Values that tell the hits apart, as filters to choose; drawn from the results at hand, and named so.
function facets(hits) {
  const fields = new Map();
  for (const { metadata } of hits) {
    for (const [field, value] of Object.entries(metadata)) {
      if (!/^[A-Za-z_][\w.]*$/.test(field) || !["string", "number", "boolean"].includes(typeof value) || String(value).length > 32) continue;
      const values = fields.get(field) ?? new Map();
      values.set(value, (values.get(value) ?? 0) + 1);
      fields.set(field, values);
    }
  }
  const useful = [...fields].filter(([, values]) => values.size > 1 && values.size <= VALUES && [...values.values()].some((n) => n > 1));
  at("facets").hidden = useful.length === 0;
  at("facets").replaceChildren(h("span", { class: "faint" }, T.search.fields), ...useful.slice(0, 4).map(([field, values]) =>
    h("span", { class: "facet" }, h("span", { class: "field" }, field), [...values].sort((a, b) => b[1] - a[1]).map(([value, n]) =>
      h("button", { type: "button", class: "chip", "aria-label": T.search.addFilter(field, value), onclick: () => narrow(field, value) }, String(value), h("small", {}, String(n)))))));
}

function narrow(field, value) {
  const condition = `${field} = ${JSON.stringify(value)}`;
  const before = at("filter").value.trim();
  if (before.includes(condition)) return;
  at("filter").value = before ? `(${before}) and ${condition}` : condition;
  search();
}
