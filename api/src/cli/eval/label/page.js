"use strict";
// Texts of documents are only ever set as text, never as markup.
const at = (id) => document.getElementById(id);
let seen = null;
let busy = false;

function draw(state) {
  const { place, shown, progress } = state;
  seen = place;
  at("bar").max = Math.max(progress.documents, 1);
  at("bar").value = progress.judged;
  at("far").textContent = `${progress.judged} of ${progress.documents} judged`;
  at("which").textContent = place ? `query ${place.query} · document ${place.number} of ${place.of}` : "";
  at("query").textContent = place ? place.text : progress.judged === progress.documents ? "Everything is judged." : "That was the last one; p goes back.";
  at("title").textContent = shown ? shown.title : "";
  at("document").textContent = place ? place.document : "";
  at("text").textContent = shown ? shown.text : "";
  document.querySelector("article").hidden = !place;
  document.querySelector("main").scrollTop = 0;
  for (const button of document.querySelectorAll("[data-grade]")) {
    button.disabled = !place;
    button.setAttribute("aria-pressed", String(!!place && place.grade === Number(button.dataset.grade)));
  }
  document.querySelector('[data-go="undo"]').disabled = !progress.can_undo;
}

async function ask(path, body) {
  if (busy) return;
  busy = true;
  try {
    const options = body === undefined ? {} : { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
    const reply = await fetch(path, options);
    const state = await reply.json();
    at("notice").textContent = reply.ok ? "" : state.error;
    if (state.progress) draw(state);
  } catch {
    at("notice").textContent = "The command has ended; what was judged is kept.";
  } finally {
    busy = false;
  }
}

const grade = (value) => seen && ask("grade", { query: seen.query, document: seen.document, grade: value });
const go = (to) => ask("go", { to });

document.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  button.blur();
  if (button.dataset.grade) grade(Number(button.dataset.grade));
  else go(button.dataset.go);
});
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  const moves = { n: "next", p: "previous", N: "query", u: "undo" };
  if (/^[0-3]$/.test(event.key)) grade(Number(event.key));
  else if (moves[event.key]) go(moves[event.key]);
});
ask("state");
