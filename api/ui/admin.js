// The Admin view: health, keys, models and budgets, jobs, and the audit log.

import { call, inCollection } from "./api.js";
import * as collections from "./collections.js";
import { announce, h, say } from "./dom.js";
import * as keys from "./keys.js";
import { table } from "./table.js";
import { T } from "./text.js";

/** Builds the view into its element. */
export function start(view) {
  const log = audit();
  view.append(h("h1", { class: "unseen" }, T.views.admin), part(T.admin.health, health), keys.section(log.look), part(T.admin.jobs, jobs), part(T.admin.models, models), part(T.admin.budget, budget), log.box);
}

// A section that fills itself, says what went wrong, and can be asked again.
function part(title, fill) {
  const status = h("p", { class: "status", role: "status" });
  const body = h("div", {});
  const look = async () => {
    say(status, T.library.loading);
    try {
      body.replaceChildren(...[(await fill(look))].flat().filter(Boolean));
      say(status, "");
    } catch (error) {
      body.replaceChildren();
      say(status, error.code === "forbidden" ? T.admin.forbidden : error.message, "bad");
    }
  };
  look();
  return h("section", {}, h("header", { class: "list-head" }, h("h2", {}, title), h("button", { type: "button", class: "quiet", "aria-label": `${T.admin.again}: ${title}`, onclick: look }, T.admin.again)), status, body);
}

async function health() {
  // 503 has the same body: what is wrong is what is wanted here.
  const { ready, checks } = await (await fetch("/ready")).json();
  return [h("p", { class: ready ? "good" : "bad" }, ready ? T.admin.ready : T.admin.notReady),
    checks.length ? h("ul", { class: "checks" }, checks.map(({ name, ok, detail }) => h("li", { class: ok ? "good" : "bad" }, h("strong", {}, ok ? T.runs.ok : T.runs.notOk), " ", h("span", {}, name), h("small", {}, detail)))) : null];
}

async function jobs(look) {
  const all = await collections.refresh();
  const states = ["dead", "failed", "running", "queued"];
  const found = (await Promise.all(all.flatMap(({ name }) => states.map((state) => call("GET", inCollection(name, `/jobs?state=${state}&limit=100`)))))).flatMap(({ jobs: some }) => some);
  if (!found.length) return h("p", { class: "faint" }, T.admin.noJobs);
  const act = (method, path) => async ({ target }) => {
    target.disabled = true;
    await call(method, path).catch((error) => announce(error.message));
    look();
  };
  return table(T.admin.jobs, T.admin.jobColumns, found.map((job) => h("tr", {},
    h("td", {}, job.source, h("small", { class: "below-cell" }, T.from([job.collection, T.version(job.version), T.when(job.updated_at)]))),
    h("td", { class: job.state === "dead" || job.state === "failed" ? "bad" : "" }, T.upload.states[job.state] ?? (job.state === "running" ? (T.upload.stages[job.stage] ?? job.stage) : T.upload.queued)),
    h("td", {}, job.message ?? ""),
    h("td", { class: "acts" }, job.state === "dead" ? h("button", { type: "button", class: "quiet", onclick: act("POST", `/v1/jobs/${job.id}/requeue`) }, T.upload.retry) : null,
      job.state === "failed" ? null : h("button", { type: "button", class: "quiet", onclick: act("DELETE", `/v1/jobs/${job.id}`) }, T.upload.cancel)))));
}

async function models() {
  const { data } = await call("GET", "/v1/models");
  return table(T.admin.models, T.admin.modelColumns, data.map(({ id, kind }) => h("tr", {}, h("th", { scope: "row" }, id), h("td", {}, T.admin.kinds[kind] ?? kind))));
}

async function budget() {
  const { currency, rows, total, limits } = await call("GET", "/v1/usage");
  const share = (used, limit) => Math.min(1, Number(used) / Number(limit) || 0);
  return [
    limits.length ? table(T.admin.limits, T.admin.limitColumns, limits.map(({ name, limit, used }) => h("tr", {}, h("th", { scope: "row" }, h("code", {}, name)), h("td", {}, used), h("td", {}, limit),
      h("td", {}, h("progress", { value: share(used, limit), max: 1, "aria-label": name }))))) : h("p", { class: "faint" }, T.admin.noLimits),
    rows.length ? table(T.admin.budget, T.admin.usageColumns, rows.map(({ day, purpose, model, calls, input_tokens: read, output_tokens: written, cost }) =>
      h("tr", {}, h("td", {}, day), h("td", {}, model), h("td", {}, purpose), h("td", { class: "figure" }, calls.toLocaleString("en")), h("td", { class: "figure" }, `${read.toLocaleString("en")} / ${written.toLocaleString("en")}`), h("td", { class: "figure" }, cost ? `${cost} ${currency}` : "")))) : h("p", { class: "faint" }, T.admin.noUsage),
    rows.length && total.cost ? h("p", {}, T.admin.total(total.cost, currency)) : null];
}

function audit() {
  const status = h("p", { class: "status", role: "status" });
  const body = h("div", {});
  const actor = h("input", { type: "search", class: "small", placeholder: T.admin.actorHint, "aria-label": T.admin.actor });
  const more = h("button", { type: "button", class: "quiet", hidden: true }, T.library.more);
  let rows = null;
  const look = async (cursor) => {
    const query = new URLSearchParams({ limit: "50", ...(actor.value.trim() ? { actor: actor.value.trim() } : {}), ...(cursor ? { cursor } : {}) });
    try {
      const { entries, next } = await call("GET", `/v1/audit?${query}`);
      const made = entries.map(({ at, actor: who, action, collection, object, outcome }) => h("tr", {}, h("td", {}, T.when(at)), h("td", {}, who), h("td", {}, action), h("td", {}, T.from([collection, object])), h("td", { class: outcome < 400 ? "good" : "bad" }, String(outcome))));
      if (cursor) rows.append(...made);
      else {
        const drawn = table(T.admin.audit, T.admin.auditColumns, made);
        rows = drawn.querySelector("tbody");
        body.replaceChildren(made.length ? drawn : h("p", { class: "faint" }, T.admin.noAudit));
      }
      more.hidden = !next;
      more.onclick = () => look(next);
      say(status, "");
    } catch (error) {
      more.hidden = true;
      body.replaceChildren();
      say(status, error.code === "forbidden" ? T.admin.forbidden : error.message, "bad");
    }
  };
  look();
  const box = h("section", {}, h("header", { class: "list-head" }, h("h2", {}, T.admin.audit),
    h("form", { class: "acts", role: "search", onsubmit: (event) => {
      event.preventDefault();
      look();
    } }, actor, h("button", { class: "quiet" }, T.admin.filter))), status, body, more);
  return { box, look: () => look() };
}
