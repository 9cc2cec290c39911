// Live numbers of the server: latency, queue, index lag, refusals and cost, asked for while they are looked at.

import { call, text } from "./api.js";
import { h, s, say } from "./dom.js";
import { buckets, most, quantile, read, since, sum } from "./exposition.js";
import { T } from "./text.js";

const EVERY = 5_000;
const KEPT = 60;
const STAGES = "wellspring_search_stage_seconds";

/** A section that keeps itself up to date while it can be seen. */
export function section() {
  const status = h("p", { class: "status", role: "status" }, T.live.asking);
  const tiles = h("dl", { class: "tiles" });
  const stages = h("div", {});
  const box = h("section", {}, h("h2", {}, T.live.title), h("p", { class: "faint" }, T.live.lead), status, tiles, stages);
  const series = { requests: [], latency: [] };
  let last = null;
  const look = async () => {
    if (!box.isConnected) return clearInterval(timer);
    if (document.hidden || !box.checkVisibility()) return;
    try {
      const [families, usage] = await Promise.all([text("/metrics").then(read), call("GET", "/v1/usage").catch(() => null)]);
      const now = { at: Date.now(), requests: sum(families, "wellspring_http_requests_total"), search: buckets(families, STAGES, { stage: "total" }) };
      if (last) {
        const seconds = (now.at - last.at) / 1000;
        keep(series.requests, Math.max(0, now.requests - last.requests) / seconds);
        keep(series.latency, quantile(since(last.search, now.search), 0.95));
      }
      last = now;
      fill(tiles, families, usage, series, now);
      stages.replaceChildren(times(families) ?? "");
      say(status, "");
    } catch (error) {
      say(status, error.code === "forbidden" ? T.live.forbidden : error.message, "bad");
    }
  };
  const timer = setInterval(look, EVERY);
  setTimeout(look);
  return box;
}

function keep(series, value) {
  series.push(value);
  if (series.length > KEPT) series.shift();
}

function fill(tiles, families, usage, series, { search }) {
  const answers = sum(families, "wellspring_answers_total");
  const refused = sum(families, "wellspring_answers_total", { outcome: "refused" });
  const away = sum(families, "wellspring_http_requests_shed_total") + sum(families, "wellspring_rate_limited_total");
  const seconds = (value) => (value === null ? T.live.noneYet : T.ms(value * 1000));
  const behind = most(families, "wellspring_index_behind");
  const oldest = sum(families, "wellspring_jobs_oldest_seconds");
  tiles.replaceChildren(
    tile(T.live.median, seconds(quantile(search, 0.5)), T.live.since),
    tile(T.live.slow, seconds(quantile(search, 0.95)), T.live.since, line(series.latency)),
    tile(T.live.requests, T.live.perSecond(series.requests.at(-1) ?? 0), T.live.inFlight(sum(families, "wellspring_http_requests_in_flight")), line(series.requests)),
    tile(T.live.queue, T.plural(sum(families, "wellspring_jobs_backlog"), "job"), oldest ? T.live.oldest(oldest) : T.live.nothingWaits),
    tile(T.live.lag, T.plural(behind, "change"), behind ? T.live.catching : T.live.upToDate),
    tile(T.live.answers, answers.toLocaleString("en"), answers ? T.live.refused(refused, answers) : T.live.noneYet),
    tile(T.live.away, away.toLocaleString("en"), T.live.awayWhy),
    tile(T.live.cost, usage?.total?.cost ? `${usage.total.cost} ${usage.currency}` : T.live.free, T.live.costOver(usage?.total?.calls ?? 0)));
}

const tile = (name, value, more, drawn) => h("div", {}, h("dt", {}, name), h("dd", {}, h("strong", {}, value), drawn ?? null, h("small", {}, more)));

// A line without axes: its shape is what is looked at, the number beside it says the rest.
function line(series) {
  const known = series.filter((value) => value !== null);
  if (known.length < 2) return null;
  const top = Math.max(...known) || 1;
  const place = (value, index) => `${((index / (series.length - 1)) * 120).toFixed(1)},${(23 - (value / top) * 21).toFixed(1)}`;
  const points = series.map((value, index) => (value === null ? null : place(value, index))).filter(Boolean);
  return s("svg", { viewBox: "0 0 120 24", class: "spark", "aria-hidden": "true" }, s("polyline", { points: points.join(" ") }));
}

// Where the time of a search goes: median of each stage.
function times(families) {
  const names = [...new Set((families.get(`${STAGES}_bucket`) ?? []).map(({ labels }) => labels.stage))];
  const rows = names.map((name) => ({ name, middle: quantile(buckets(families, STAGES, { stage: name }), 0.5), slow: quantile(buckets(families, STAGES, { stage: name }), 0.95) })).filter(({ middle }) => middle !== null);
  if (!rows.length) return null;
  rows.sort((a, b) => b.slow - a.slow);
  const top = rows[0].slow;
  return h("div", {}, h("h3", {}, T.live.stages), h("table", { class: "times" },
    h("thead", { class: "unseen" }, h("tr", {}, h("th", {}, T.live.stage), h("th", {}, T.live.drawn), h("th", {}, T.live.middleAndSlow))),
    h("tbody", {}, rows.map(({ name, middle, slow }) =>
      h("tr", { class: name === "total" ? "total" : "" }, h("th", { scope: "row" }, T.explain.stages[name] ?? name),
        h("td", {}, s("svg", { viewBox: "0 0 100 6", preserveAspectRatio: "none", class: "bar dense", "aria-hidden": "true" },
          s("rect", { width: (slow / top) * 100, height: 6, opacity: ".4" }), s("rect", { width: (middle / top) * 100, height: 6 }))),
        h("td", { class: "figure wide" }, `${T.ms(middle * 1000)} / ${T.ms(slow * 1000)}`))))));
}
