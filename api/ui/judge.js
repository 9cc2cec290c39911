// Judging by clicking: what three ways of searching find is shown one document at a time, and graded.

import { call, inCollection } from "./api.js";
import { announce, h, say } from "./dom.js";
import { HIGHEST, lines, pool, qrels, queries, questions } from "./judgements.js";
import { current, kept, onChoice } from "./session.js";
import { open } from "./source.js";
import { T } from "./text.js";

const DEPTH = 10;
const MODES = ["hybrid", "dense", "keyword"];
const MOST = 200;

let state = null; // { collection, asked: [{ question, found }], at: [question, document] }

const name = (collection) => `judgements.${collection}`;
const judgements = () => kept.read(name(current())) ?? {};

/** A section with the whole loop. */
export function section() {
  const status = h("p", { class: "status", role: "status" });
  const desk = h("div", {});
  const words = h("textarea", { id: "judge-questions", rows: 4, placeholder: T.judge.placeholder, spellcheck: "false" });
  const files = h("p", { class: "acts" });
  const begin = async () => {
    const asked = questions(words.value).slice(0, MOST);
    if (!asked.length) return say(status, T.judge.noQuestions, "warn");
    say(status, T.judge.pooling);
    try {
      state = { collection: current(), asked: [], place: [0, 0] };
      for (const question of asked) {
        const rankings = await Promise.all(MODES.map((mode) => call("POST", "/v1/search", { collection: state.collection, query: question, k: DEPTH, mode })));
        const found = pool(question, rankings.map(({ hits }) => hits));
        if (found.length) state.asked.push({ question, found });
      }
      say(status, "");
      toNext();
    } catch (error) {
      say(status, error.message, "bad");
    }
  };
  const logged = async () => {
    try {
      const { feedback } = await call("GET", inCollection(current(), "/feedback?limit=1000"));
      const asked = [...new Set(feedback.map(({ event }) => event.query))];
      words.value = asked.join("\n");
      say(status, T.judge.taken(asked.length), asked.length ? "" : "warn");
    } catch (error) {
      say(status, error.message, "bad");
    }
  };

  const grades = (question) => judgements()[question] ?? {};
  const left = () => state.asked.flatMap(({ question, found }, q) => found.map((hit, d) => ({ q, d, hit, question })).filter(({ hit }) => !(hit.document_id in grades(question))));

  function toNext() {
    const [q, d] = state.place;
    const open_ = left();
    const next = open_.find((one) => one.q > q || (one.q === q && one.d >= d)) ?? open_[0];
    if (!next) return done();
    state.place = [next.q, next.d];
    draw();
  }

  function grade(value) {
    const { question, found } = state.asked[state.place[0]];
    const all = judgements();
    all[question] = { ...all[question], [found[state.place[1]].document_id]: value };
    kept.write(name(state.collection), all);
    announce(T.judge.grades[value]);
    offer();
    toNext();
  }

  function step(by) {
    const flat = state.asked.flatMap(({ found }, q) => found.map((_, d) => [q, d]));
    const here = flat.findIndex(([q, d]) => q === state.place[0] && d === state.place[1]);
    state.place = flat[(here + by + flat.length) % flat.length];
    draw();
  }

  function draw() {
    const [q, d] = state.place;
    const { question, found } = state.asked[q];
    const hit = found[d];
    const given = grades(question)[hit.document_id];
    const all = state.asked.reduce((sum, one) => sum + one.found.length, 0);
    const buttons = Array.from({ length: HIGHEST + 1 }, (_, index) => HIGHEST - index).map((value) =>
      h("button", { type: "button", class: "quiet", "aria-pressed": String(given === value), onclick: () => grade(value) }, h("kbd", {}, String(value)), ` ${T.judge.grades[value]}`));
    const card = h("article", { class: "card judging", tabindex: -1, onkeydown: (event) => {
      if (/^[0-3]$/.test(event.key) && !event.ctrlKey && !event.metaKey) grade(Number(event.key));
      else if (event.key === "n") step(1);
      else if (event.key === "p") step(-1);
    } },
      h("p", { class: "faint" }, T.judge.progress(all - left().length, all)),
      h("h3", {}, question), h("p", { class: "from" }, T.from([hit.title || hit.source, hit.source, hit.page && T.page(hit.page)])),
      h("blockquote", { class: "passage" }, hit.text.replace(/^#+\s+/gm, "")),
      h("p", { class: "acts", role: "group", "aria-label": T.judge.gradeLabel }, buttons),
      h("p", { class: "acts" },
        h("button", { type: "button", class: "quiet", onclick: (event) => open(state.collection, { ...hit, quote: hit.text }, event.currentTarget) }, T.judge.open),
        h("button", { type: "button", class: "quiet", onclick: () => step(-1) }, T.judge.back),
        h("button", { type: "button", class: "quiet", onclick: () => step(1) }, T.judge.later)));
    desk.replaceChildren(card);
    card.focus({ preventScroll: true });
  }

  function done() {
    desk.replaceChildren(h("p", { class: "good" }, T.judge.done));
    announce(T.judge.done);
  }

  function offer() {
    const judged = judgements();
    const count = Object.values(judged).reduce((sum, one) => sum + Object.keys(one).length, 0);
    const file = (label, filename, make) => h("button", { type: "button", class: "quiet", onclick: () => save(filename, make(judgements())) }, label);
    files.replaceChildren(...(count ? [
      h("span", {}, T.judge.kept(count)), file(T.judge.asLines, "judgements.jsonl", lines), file(T.judge.asQrels, "qrels.tsv", qrels), file(T.judge.asQueries, "queries.jsonl", queries),
      h("button", { type: "button", class: "quiet", onclick: () => {
        kept.write(name(current()), null);
        desk.replaceChildren();
        offer();
      } }, T.judge.forget)] : []));
  }
  onChoice(() => {
    desk.replaceChildren();
    offer();
  });
  offer();
  return h("section", {}, h("h2", {}, T.judge.title), h("p", { class: "faint" }, T.judge.lead),
    h("label", { for: "judge-questions" }, T.judge.questions), words,
    h("p", { class: "acts" }, h("button", { type: "button", class: "go", onclick: begin }, T.judge.begin), h("button", { type: "button", class: "quiet", onclick: logged }, T.judge.logged)),
    status, desk, files);
}

function save(filename, content) {
  const address = URL.createObjectURL(new Blob([content], { type: "text/plain" }));
  const link = h("a", { href: address, download: filename });
  link.click();
  setTimeout(() => URL.revokeObjectURL(address));
}
