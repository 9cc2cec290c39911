// Takes files in: sends a few at a time, follows their jobs, and says of each how far it is, how it ended and why.

import { call, inCollection, upload } from "./api.js";
import { announce, h } from "./dom.js";
import { T } from "./text.js";

// A browser opens six connections to a server; the rest of the page needs some.
const AT_ONCE = 3;
const MOST = 2000;
const OFTEN = 400;
const SELDOM = 2000;
const FINAL = { indexed: "good", unchanged: "good", skipped: "warn", failed: "bad", cancelled: "warn", dead: "bad" };

/** A list of files on their way into collections; `changed(collection)` is called when one of them arrived. */
export class Uploads {
  constructor(changed) {
    this.changed = changed;
    this.rows = [];
    this.sending = 0;
    this.following = false;
    this.list = h("ul", { class: "uploads" });
    this.summary = h("span", { class: "faint", role: "status" });
    const clear = h("button", { type: "button", class: "quiet", onclick: () => this.clear() }, T.library.clear);
    this.box = h("section", { class: "being-added", hidden: true, "aria-label": T.library.uploads },
      h("header", {}, h("h2", {}, T.library.uploads), this.summary, clear), this.list);
  }

  /**
   * Adds files: `[{ file, path, fields }]`, `file` a file or what fetches one when its turn comes, `fields` further ones of the
   * form. Resolves when all of them have ended, to their final states.
   */
  add(collection, files) {
    const ends = files.map(({ file, path, fields = {} }) => {
      const row = new Row(this, collection, file, path, fields);
      this.rows.push(row);
      this.list.append(row.element);
      return row.end;
    });
    this.refresh();
    this.pump();
    return Promise.all(ends);
  }

  /** Shows what the server was still busy with, or had given up, when the page was opened. */
  async resume(collection) {
    const { jobs } = await call("GET", inCollection(collection, "/jobs?limit=100"));
    // Of several tries of one document only the latest says how it stands.
    const latest = new Set();
    for (const job of jobs) {
      const known = latest.has(job.document_id) || this.rows.some((row) => row.job === job.id);
      latest.add(job.document_id);
      if (known || !["queued", "running", "dead"].includes(job.state)) continue;
      const row = new Row(this, collection, null, job.source);
      row.job = job.id;
      this.rows.push(row);
      this.list.append(row.element);
      row.show(job);
    }
    this.refresh();
    this.follow();
  }

  pump() {
    for (const row of this.rows) {
      if (this.sending >= AT_ONCE) return;
      if (row.state !== "waiting") continue;
      this.sending++;
      row.send().finally(() => {
        this.sending--;
        this.pump();
        this.follow();
      });
    }
  }

  // One question for all of them, again and again while there is one to follow.
  async follow() {
    if (this.following) return;
    this.following = true;
    try {
      for (let wait = OFTEN; ; ) {
        const open = this.rows.filter((row) => row.state === "following");
        if (!open.length) return;
        try {
          for (const collection of new Set(open.map((row) => row.collection))) await this.look(collection, open);
          wait = OFTEN;
        } catch (error) {
          if (error.code !== "unreachable") throw error;
          for (const row of open) row.say(T.upload.lost, "warn");
          wait = SELDOM;
        }
        this.refresh();
        await new Promise((resolve) => setTimeout(resolve, wait));
      }
    } catch (error) {
      for (const row of this.rows.filter((one) => one.state === "following")) row.fail(error);
    } finally {
      this.following = false;
    }
  }

  async look(collection, open) {
    const own = open.filter((row) => row.collection === collection);
    const { jobs } = await call("GET", inCollection(collection, `/jobs?limit=${Math.min(1000, own.length + 50)}`));
    const known = new Map(jobs.map((job) => [job.id, job]));
    let arrived = false;
    for (const row of own) {
      const job = known.get(row.job) ?? (await call("GET", `/v1/jobs/${row.job}`));
      row.show(job);
      arrived ||= job.state === "indexed";
    }
    if (arrived) this.changed(collection);
  }

  clear() {
    for (const row of this.rows.filter((one) => one.tone === "good" || one.tone === "warn")) row.element.remove();
    this.rows = this.rows.filter((row) => row.element.isConnected);
    this.refresh();
  }

  refresh() {
    this.box.hidden = this.rows.length === 0;
    const done = this.rows.filter((row) => row.state === "ended").length;
    const text = T.library.total(done, this.rows.length);
    if (this.summary.textContent !== text) this.summary.textContent = text;
  }
}

// One file: waiting → sending → following (its job) → ended, with `tone` good, warn or bad.
class Row {
  constructor(uploads, collection, file, path, fields = {}) {
    Object.assign(this, { uploads, collection, file, path, fields, job: null, state: file ? "waiting" : "following", tone: "" });
    this.end = new Promise((resolve) => (this.ended = resolve));
    this.word = h("span", { class: "state" }, T.upload.waiting);
    this.why = h("span", { class: "why", hidden: true });
    this.bar = h("progress", { "aria-label": T.upload.of(path), max: 1 });
    this.acts = h("span", { class: "acts" });
    this.element = h("li", {}, h("span", { class: "file" }, path), this.word, this.acts, this.bar, this.why);
  }

  async send() {
    this.state = "sending";
    this.tone = "";
    this.why.hidden = true;
    this.bar.hidden = false;
    this.acts.replaceChildren();
    const form = new FormData();
    try {
      form.append("file", typeof this.file === "function" ? await this.file() : this.file, this.path);
      for (const [name, value] of Object.entries(this.fields)) form.append(name, value);
      const progress = (share) => {
        this.bar.value = share;
        this.say(T.upload.sending(share));
      };
      progress(0);
      const { job } = await upload(inCollection(this.collection, "/documents"), form, progress);
      this.job = job;
      this.state = "following";
      this.bar.removeAttribute("value");
      this.say(T.upload.queued);
    } catch (error) {
      this.fail(error);
    }
    this.uploads.refresh();
  }

  show({ state, stage, progress, attempts, message, report }) {
    if (FINAL[state]) {
      const chunks = state === "indexed" && report?.chunks ? T.passages(report.chunks) : null;
      const notes = [message, ...(report?.warnings ?? [])].filter(Boolean).join(" ");
      return this.finish(state, T.from([T.upload.states[state], chunks]), FINAL[state], notes);
    }
    this.state = "following";
    if (progress?.total) this.bar.value = progress.done / progress.total;
    else this.bar.removeAttribute("value");
    const steps = progress?.total > 1 ? T.upload.progress(progress.done, progress.total) : null;
    this.say(state === "queued" ? (attempts ? T.upload.again(attempts) : T.upload.queued) : T.from([T.upload.stages[stage] ?? stage, steps]));
    this.reason(attempts > 1 || (state === "queued" && attempts) ? message : "");
    if (!this.acts.hasChildNodes()) this.acts.append(h("button", { type: "button", class: "quiet", onclick: () => this.cancel() }, T.upload.cancel));
  }

  finish(state, text, tone, reason) {
    this.state = "ended";
    this.tone = tone;
    this.bar.hidden = true;
    this.say(text, tone);
    this.reason(reason);
    const again = tone === "bad" && (this.file || state === "dead");
    this.acts.replaceChildren(...(again ? [h("button", { type: "button", class: "quiet", onclick: () => this.retry(state) }, T.upload.retry)] : []));
    announce(`${this.path}: ${text}`);
    this.ended(state);
  }

  fail(error) {
    this.finish("failed", T.upload.states.failed, "bad", error.message);
  }

  async retry(state) {
    if (state !== "dead") {
      this.state = "waiting";
      this.uploads.pump();
      return;
    }
    try {
      this.bar.hidden = false;
      this.show(await call("POST", `/v1/jobs/${this.job}/requeue`));
      this.uploads.follow();
    } catch (error) {
      this.fail(error);
    }
  }

  async cancel() {
    try {
      this.show(await call("DELETE", `/v1/jobs/${this.job}`));
    } catch (error) {
      if (error.code !== "conflict") this.reason(error.message);
    }
  }

  say(text, tone = "") {
    this.word.textContent = text;
    this.word.className = ["state", tone].filter(Boolean).join(" ");
  }

  reason(text) {
    this.why.hidden = !text;
    this.why.textContent = text ?? "";
  }
}

/** Files of a drop, folders walked through: `[{ file, path }]`, at most 2000, with whether there were more. */
export async function dropped(transfer) {
  // The list is emptied as soon as this turn of the event loop ends.
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  const plain = [...transfer.files].map((file) => ({ file, path: file.name }));
  if (!entries.some((entry) => entry.isDirectory)) return { files: plain.slice(0, MOST), more: plain.length > MOST };
  const files = [];
  const walk = async (entry) => {
    if (files.length > MOST || entry.name.startsWith(".")) return;
    if (entry.isFile) {
      const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
      files.push({ file, path: entry.fullPath.replace(/^\//, "") });
      return;
    }
    const folder = entry.createReader();
    // A reader gives a hundred at a time, and nothing at the end.
    for (;;) {
      const some = await new Promise((resolve, reject) => folder.readEntries(resolve, reject));
      if (!some.length) return;
      for (const one of some) await walk(one);
    }
  };
  for (const entry of entries) await walk(entry);
  return { files: files.slice(0, MOST), more: files.length > MOST };
}

/** Files of a file or folder chooser. */
export function chosen(input) {
  const files = [...input.files].map((file) => ({ file, path: file.webkitRelativePath || file.name })).filter(({ path }) => !path.split("/").some((part) => part.startsWith(".")));
  return { files: files.slice(0, MOST), more: files.length > MOST };
}
