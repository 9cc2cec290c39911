// The page: its frame, which view is shown, the choice of a collection, the look, and whether the server is ready.

import { call, onLocked, signOut } from "./api.js";
import * as question from "./ask.js";
import * as collections from "./collections.js";
import { unlock } from "./door.js";
import { at, h } from "./dom.js";
import * as library from "./library.js";
import * as search from "./search.js";
import { account, choose, current, isSignedIn, onChoice, setTheme, theme } from "./session.js";
import * as source from "./source.js";
import { T } from "./text.js";
import * as welcome from "./welcome.js";

const VIEWS = ["ask", "search", "library", "quality", "admin"];
// What few people look at comes with its first look.
const LATER = { quality: () => import("./quality.js"), admin: () => import("./admin.js") };
const FOCUS = { ask: "question", search: "query" };

function frame() {
  document.title = T.name;
  at("skip").textContent = T.skip;
  at("top").append(
    h("a", { class: "name", href: "#/ask" }, h("img", { src: "/ui/icon.svg", alt: "", width: 24, height: 24 }), T.name),
    h("nav", { "aria-label": T.navigation }, VIEWS.map((name) => h("a", { id: `to-${name}`, href: `#/${name}` }, T.views[name]))),
    h("label", { class: "collection" }, h("span", {}, T.collection), h("select", { id: "collection", onchange: ({ target }) => choose(target.value) }, h("option", {}, current()))));
  at("source").setAttribute("aria-label", T.source.label);
  at("foot").append(
    h("span", { id: "state", role: "status" }, T.checking),
    h("label", {}, T.theme.label, " ", h("select", { id: "theme", onchange: ({ target }) => setTheme(target.value) },
      ["auto", "light", "dark"].map((name) => h("option", { value: name, selected: name === theme() }, T.theme[name])))),
    h("button", { id: "leave", type: "button", class: "text", hidden: true, onclick: leave }),
    h("a", { href: "/docs" }, T.interface), h("a", { href: "/metrics" }, T.metrics));
  offerToLeave();
}

async function leave() {
  await signOut();
  location.reload();
}

/** Lets somebody in, and offers the way out. */
async function letIn() {
  const inside = await unlock();
  if (inside) offerToLeave();
  return inside;
}

function offerToLeave() {
  const who = account()?.name;
  at("leave").hidden = !isSignedIn();
  at("leave").textContent = who ? T.signIn.outAs(who) : T.signIn.out;
}

let shownView = null;

/** Shows what the address names: `#/ask`, `#/search`, `#/library`, `#/library/<document>`, `#/quality` or `#/admin`. */
function route() {
  const [, name, rest] = /^#\/(\w+)(?:\/(.+))?$/.exec(location.hash) ?? [];
  const view = VIEWS.includes(name) ? name : "ask";
  if (shownView && shownView !== view) source.close();
  shownView = view;
  for (const one of VIEWS) {
    at(`view-${one}`).hidden = one !== view;
    if (one === view) at(`to-${one}`).setAttribute("aria-current", "page");
    else at(`to-${one}`).removeAttribute("aria-current");
  }
  document.title = `${T.views[view]} · ${T.name}`;
  if (LATER[view]) later(view);
  else if (view === "library") library.show(rest ? decodeURIComponent(rest) : null);
  // A keyboard that pops up unasked hides half of a phone.
  else if (matchMedia("(hover: hover)").matches) at(FOCUS[view]).focus();
  if (view === "ask") first();
}

async function later(view) {
  const box = at(`view-${view}`);
  if (box.hasChildNodes()) return;
  try {
    const { start } = await LATER[view]();
    if (!box.hasChildNodes()) start(box);
  } catch {
    box.replaceChildren(h("p", { class: "status bad" }, T.unreachable));
  }
}

// With nothing to ask about, the Ask view shows how to begin.
async function first() {
  const empty = collections.all().every(({ documents }) => documents === 0);
  const began = at("welcome").hasChildNodes();
  at("welcome").hidden = !empty && !began;
  if (!empty || began) return;
  await welcome.start(at("welcome"), (words) => {
    at("welcome").hidden = true;
    question.put(words);
  }).catch(() => {
    // The line at the foot says what is wrong with the server.
  });
}

async function state() {
  const line = at("state");
  try {
    const { ready, checks } = await (await fetch("/ready")).json();
    line.classList.toggle("bad", !ready);
    line.textContent = ready ? T.ready : checks.filter(({ ok }) => !ok).map(({ detail }) => detail).join("; ");
  } catch {
    line.classList.add("bad");
    line.textContent = T.unreachable;
  }
}

setTheme(theme());
onLocked(letIn);
frame();
source.start();
question.start(at("view-ask"));
at("view-ask").append(h("div", { id: "welcome", class: "welcome", hidden: true }));
search.start(at("view-search"));
library.start(at("view-library"), { reveal: () => (location.hash = "#/library") });
onChoice((name) => {
  source.close();
  source.forget();
  at("collection").value = name;
});
addEventListener("hashchange", route);
at("ask-form").addEventListener("submit", () => {
  at("welcome").hidden = true;
});
try {
  await collections.refresh();
} catch {
  // As above.
}
route();
document.documentElement.dataset.ready = "";
state();
setInterval(state, 30_000);
