// The page: tabs, the choice of a collection, and whether the server is ready.

import * as ask from "./ask.js";
import * as documents from "./documents.js";
import { at, call, make } from "./net.js";
import * as search from "./search.js";
import * as session from "./session.js";
import * as source from "./source.js";

const TABS = ["ask", "search", "documents"];
const collection = () => at("collection").value;

function select(name, focus) {
  for (const tab of TABS) {
    const chosen = tab === name;
    at(`tab-${tab}`).setAttribute("aria-selected", String(chosen));
    at(`tab-${tab}`).tabIndex = chosen ? 0 : -1;
    at(`view-${tab}`).hidden = !chosen;
  }
  if (focus) at(`tab-${name}`).focus();
  else at({ ask: "question", search: "query", documents: "files" }[name]).focus();
  history.replaceState(null, "", `#${name}`);
  if (name === "documents") documents.list(collection());
}

for (const [index, name] of TABS.entries()) {
  at(`tab-${name}`).addEventListener("click", () => select(name));
  at(`tab-${name}`).addEventListener("keydown", ({ key }) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[key];
    if (step) select(TABS[(index + step + TABS.length) % TABS.length], true);
  });
}

addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !at("source").hidden) source.close();
});
at("source-close").addEventListener("click", source.close);

async function collections() {
  const chosen = collection();
  try {
    const found = (await call("GET", "/v1/collections")).collections.map(({ name }) => name);
    if (!found.includes("default")) found.unshift("default");
    at("collection").replaceChildren(...found.map((name) => make("option", { value: name, selected: name === chosen }, name)));
  } catch {
    // The line at the foot says what is wrong with the server.
  }
}

async function state() {
  const line = at("state");
  try {
    const response = await fetch("/ready");
    const { ready, checks } = await response.json();
    line.classList.toggle("bad", !ready);
    const wrong = checks.filter(({ ok }) => !ok).map(({ detail }) => detail).join("; ");
    line.textContent = ready ? "Ready" : wrong || "The server is not ready.";
  } catch {
    line.classList.add("bad");
    line.textContent = "The server can't be reached.";
  }
}

at("collection").addEventListener("change", () => {
  source.close();
  source.forget();
  if (!at("view-documents").hidden) documents.list(collection());
});

session.start();
ask.start(collection);
search.start(collection);
documents.start(collection, async () => {
  await collections();
  documents.list(collection());
});
await collections();
select(TABS.includes(location.hash.slice(1)) ? location.hash.slice(1) : "ask");
state();
setInterval(state, 30_000);
