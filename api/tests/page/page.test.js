// The page as its users meet it: the real server and model, real documents, the browser that is installed.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";

import { browserPath, inSight, launch, plain, visit } from "./browser.js";
import { CORPUS, below, real, start } from "./server.js";

const skip = browserPath ? false : "no chromium is installed";
const GATE = new URL("reports/gate.json", import.meta.url).pathname;
const AXE = join(dirname(createRequire(import.meta.url).resolve("axe-core")), "axe.min.js");
// Twenty files of as many kinds as there are.
const MIXED = [
  "api/errors.html", "api/overview.md", "code/quality_flags.rs", "code/schema.sql", "data/support-tickets.jsonl", "handbook/glossary.md",
  "handbook/working-hours-and-leave.md", "incidents/INC-2026-007-battery-pack.pdf", "mail/2026-01-28-recall-answer.eml", "manuals/field-guide.epub",
  "manuals/otter-3-quick-start.txt", "manuals/safety-manual.pdf", "minutes/2026-02-11-product-board.docx", "policies/dienstwagen-richtlinie.docx",
  "policies/travel-policy-2024.md", "policies/travel-policy-2026.md", "slides/roadmap-2026.pptx", "tables/price-list-2025.csv", "tables/price-list-2026.xlsx",
  "tables/spare-parts.xlsx",
];

let server;
let browser;
before(async () => {
  if (!skip) [server, browser] = await Promise.all([start(), launch()]);
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

const ended = (page, n) => page.waitForFunction((n) => document.querySelectorAll(".uploads .state:is(.good, .bad, .warn)").length >= n, n, { timeout: 300_000 });

async function add(page, files) {
  await page.click("#to-library");
  await page.setInputFiles("#files", files);
  await ended(page, files.length);
}

async function ask(page, question) {
  await page.click("#to-ask");
  await page.fill("#question", question);
  await page.keyboard.press("Enter");
  await page.waitForSelector("#result .below > *");
}

test("from nothing to a first answer", { skip }, async () => {
  const page = await visit(browser, server.url);
  // Everything but PDF.js, which comes with the first PDF.
  const bytes = [...page.sizes.values()].reduce((sum, size) => sum + size, 0);
  assert.ok(page.sizes.size > 20 && bytes <= 300_000, `${bytes} bytes in ${page.sizes.size} files`);
  console.log(`first page: ${bytes} bytes in ${page.sizes.size} responses`);
  await page.getByRole("button", { name: "Add the sample documents" }).click();
  const first = page.locator(".suggestions button").first();
  await first.waitFor({ timeout: 300_000 });
  await first.click();
  await page.waitForSelector(".footnotes li");
  assert.match(await page.locator(".answer").textContent(), /£\d+/);
  assert.equal(await page.inputValue("#collection"), "samples");
  page.kept();
  await page.context().close();
});

test("twenty mixed files become searchable, each saying so, and a broken one says why", { skip }, async () => {
  const page = await visit(browser, server.url);
  await page.selectOption("#collection", "default");
  await add(page, MIXED.map((path) => join(CORPUS, path)));
  const states = await page.locator(".uploads .state").allTextContents();
  assert.equal(states.filter((state) => state.startsWith("searchable")).length, MIXED.length, states.join(" | "));
  await page.setInputFiles("#files", [join(CORPUS, "../broken/encrypted.pdf")]);
  await ended(page, MIXED.length + 1);
  const failed = page.locator(".uploads li", { hasText: "encrypted.pdf" });
  assert.match(await failed.locator(".why").textContent(), /password|encrypt/i);
  await page.waitForFunction((n) => document.querySelectorAll("#documents li").length === n, MIXED.length);
  page.kept();
  await page.context().close();
});

test("a footnote opens the very words on the very page of a PDF", { skip }, async () => {
  const page = await visit(browser, server.url);
  await page.selectOption("#collection", "default");
  await ask(page, "What happened to the battery pack?");
  const notes = page.locator(".footnotes button", { hasText: "page" });
  assert.ok((await notes.count()) > 0, await page.locator(".footnotes").textContent());
  for (const note of await notes.all()) {
    const quote = (await note.locator(".quote").textContent()).slice(1, -1);
    const number = /page (\d+)/.exec(await note.locator(".from").textContent())[1];
    await note.click();
    await page.waitForFunction((words) => [...document.querySelectorAll(".words mark")].map((mark) => mark.textContent).join("").includes(words), quote.slice(0, 12));
    assert.match(await page.locator("#source-number").textContent(), new RegExp(`^Page ${number} of `));
    assert.equal(plain((await page.locator(".words mark").allTextContents()).join("")), plain(quote));
    assert.ok(await inSight(page.locator(".words mark").first()));
  }
  // The same span in the stored text.
  await page.click("#source-text");
  await page.waitForSelector(".stored mark");
  assert.ok(await inSight(page.locator(".stored mark").first()));
  await page.keyboard.press("Escape");
  assert.ok(await page.locator("#source").isHidden());
  page.kept();
  await page.context().close();
});

test("a footnote opens Markdown as it reads, at the span", { skip }, async () => {
  const page = await visit(browser, server.url);
  await page.selectOption("#collection", "default");
  await ask(page, "What may a hotel night outside a capital cost?");
  const note = page.locator(".answer .note").first();
  await note.click();
  await page.waitForSelector(".stored mark");
  const quote = await page.locator(".footnotes .quote").first().textContent();
  assert.equal(plain((await page.locator(".stored mark").allTextContents()).join("")), plain(quote));
  assert.ok(await inSight(page.locator(".stored mark").first()));
  assert.ok((await page.locator(".stored h4").count()) > 0, "headings are headings");
  assert.equal(await page.locator(".stored a, .stored script, .stored img").count(), 0);
  page.kept();
  await page.context().close();
});

test("real filings: what is cited is what is highlighted", { skip: skip || (real("financebench") ? false : "the shared documents are absent") }, async () => {
  const folder = join(real("financebench"), "pdfs");
  const page = await visit(browser, server.url);
  await page.request.post(`${server.url}v1/collections`, { data: { name: "filings" } });
  await page.reload();
  await page.waitForSelector("html[data-ready]");
  await page.selectOption("#collection", "filings");
  await add(page, ["AMCOR_2022_8K_dated-2022-07-01.pdf", "FOOTLOCKER_2022_8K_dated-2022-05-20.pdf", "PEPSICO_2023_8K_dated-2023-05-05.pdf", "ULTABEAUTY_2023Q4_EARNINGS.pdf"].map((name) => join(folder, name)));
  let exact = 0;
  let none = 0;
  let all = 0;
  for (const query of ["shareholder proposals that were voted on", "election of directors votes for and against", "net sales increased", "gross profit as a percentage of net sales", "store count and square footage",
    "new board member appointed", "stock repurchase program", "guarantee of senior notes", "date of report", "balance sheet cash and cash equivalents"]) {
    await page.click("#to-search");
    await page.fill("#query", query);
    await page.keyboard.press("Enter");
    await page.waitForFunction((query) => document.querySelectorAll("#hits > li").length > 0 && document.querySelector("#search-status").textContent.includes("passage"), query);
    for (const hit of (await page.locator("#hits > li > button").all()).slice(0, 4)) {
      await hit.click();
      await page.waitForFunction(() => document.querySelector(".words mark") || document.querySelector("#source-status").textContent.includes("could not"));
      all++;
      const status = await page.locator("#source-status").textContent();
      exact += status === "" ? 1 : 0;
      none += status.includes("could not") ? 1 : 0;
      if (status) console.log(`${status}\n  ${(await hit.locator(".text").textContent()).slice(0, 300).replace(/\s+/g, " ")}`);
      await page.keyboard.press("Escape");
    }
  }
  console.log(`passages of filings found whole on their page: ${exact} of ${all}; not at all: ${none}`);
  // Cells of wide tables may be drawn in pieces; then a part is marked and the page says so.
  assert.ok(all > 20 && exact / all >= 0.8 && none === 0, `${exact} of ${all} whole, ${none} not at all`);
  page.kept();
  await page.context().close();
});

test("a refusal shows what was found anyway", { skip }, async () => {
  const page = await visit(browser, server.url);
  await page.selectOption("#collection", "default");
  await ask(page, "Who won the football world cup in 1974?");
  assert.match(await page.locator(".refusal").textContent(), /No answer/);
  await page.locator(".passages button").first().click();
  await page.waitForSelector("#source mark");
  page.kept();
  await page.context().close();
});

test("copying takes the citations along", { skip }, async () => {
  const page = await visit(browser, server.url, { permissions: ["clipboard-read", "clipboard-write"] });
  await page.selectOption("#collection", "default");
  await ask(page, "What may a hotel night outside a capital cost?");
  await page.getByRole("button", { name: "Copy with citations" }).click();
  await page.getByRole("button", { name: "Copied" }).waitFor();
  const copied = await page.evaluate(() => navigator.clipboard.readText());
  assert.match(copied, /\[1\][\s\S]*Sources:\n\[1\] Travel policy/);
  page.kept();
  await page.context().close();
});

test("search explains itself, marks words, and says what is wrong with a filter", { skip }, async () => {
  const page = await visit(browser, server.url, { hash: "#/search" });
  await page.selectOption("#collection", "default");
  await page.check("#explain");
  await page.fill("#query", "hotel night");
  await page.keyboard.press("Enter");
  await page.waitForSelector(".story");
  assert.equal(await page.locator(".origin").count(), await page.locator("#hits > li").count());
  assert.match(await page.locator(".origin").first().textContent(), /Meaning.*rank \d+.*Words.*rank \d+.*Together/);
  assert.deepEqual([...new Set((await page.locator("#hits > li").first().locator("mark").allTextContents()).map((word) => word.toLowerCase()))].sort(), ["hotels", "night"]);
  assert.match(await page.locator(".times .total").textContent(), /\d\sm?s/);

  await page.fill("#filter", "status == \"in force\"");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.querySelector("#filter-error").textContent.includes("byte"));
  await page.fill("#filter", "status = \"in force\"");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.querySelector("#filter-error").textContent === "" && document.querySelectorAll("#hits > li").length > 0);
  assert.ok((await page.locator("#hits .from").allTextContents()).every((from) => from.includes("travel-policy-2026")));
  page.kept();
  await page.context().close();
});

test("a deleted document is gone from the list, the count and the answers", { skip }, async () => {
  const page = await visit(browser, server.url, { hash: "#/library" });
  await page.selectOption("#collection", "default");
  await page.waitForFunction((n) => document.querySelectorAll("#documents li").length === n, MIXED.length);
  const line = page.locator("#documents li", { hasText: "travel-policy-2024" });
  await line.getByRole("button", { name: "Delete" }).click();
  await page.locator("dialog").getByRole("button", { name: "Delete" }).click();
  await page.locator("#library-status", { hasText: "is gone" }).waitFor();
  assert.equal(await page.locator("#documents li").count(), MIXED.length - 1);
  await page.waitForFunction((words) => document.querySelector("#library-count").textContent === words, `${MIXED.length - 1} documents`);
  await ask(page, "What may a hotel night outside a capital cost?");
  assert.doesNotMatch(await page.locator("#result").textContent(), /£110|travel-policy-2024/);
  page.kept();
  await page.context().close();
});

test("a document shows its metadata, and its passages on its text", { skip }, async () => {
  const page = await visit(browser, server.url, { hash: "#/library" });
  await page.selectOption("#collection", "default");
  await page.getByRole("link", { name: "Travel policy 2026" }).click();
  await page.waitForSelector(".framed .chunk-mark");
  assert.match(await page.locator(".facts").last().textContent(), /Caitlin Broome/);
  assert.ok((await page.locator(".chunk-mark").count()) > 2);
  await page.uncheck(".list-head input[type=checkbox]");
  assert.equal(await page.locator(".framed .chunk").count(), 0);
  page.kept();
  await page.context().close();
});

test("everything can be done on a phone, and nothing is cut off", { skip }, async () => {
  const page = await visit(browser, server.url, { viewport: { width: 360, height: 720 }, hasTouch: true, isMobile: true });
  await page.selectOption("#collection", "default");
  const fits = async () => assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${page.url()} scrolls sideways`);
  await ask(page, "What happened to the battery pack?");
  await fits();
  await page.locator(".footnotes button").first().tap();
  await page.waitForSelector("#source mark");
  assert.ok(await inSight(page.locator("#source mark").first()));
  await page.getByRole("button", { name: "Close" }).tap();
  for (const view of ["search", "quality", "admin", "library"]) {
    await page.tap(`#to-${view}`);
    await page.waitForFunction((view) => document.querySelector(`#view-${view} h1`), view);
    await fits();
  }
  await page.fill("#library-filter", "travel");
  page.kept();
  await page.context().close();
});

test("the keyboard alone is enough to ask, open a source and come back", { skip }, async () => {
  const page = await visit(browser, server.url);
  await page.selectOption("#collection", "default");
  await page.focus("#question");
  await page.keyboard.type("What may a hotel night outside a capital cost?");
  await page.keyboard.press("Enter");
  await page.waitForSelector("#ask-new"); // shown once the stream has closed
  // The button beside the question, the one for a new conversation, the first footnote.
  for (let n = 0; n < 3; n++) await page.keyboard.press("Tab");
  assert.ok(await page.evaluate(() => document.activeElement.matches(".note")));
  await page.keyboard.press("Enter");
  await page.waitForSelector("#source mark");
  assert.equal(await page.evaluate(() => document.activeElement.id), "source-title");
  await page.keyboard.press("Escape");
  assert.ok(await page.evaluate(() => document.activeElement.matches(".note")));
  page.kept();
  await page.context().close();
});

test("no serious accessibility violation, in both themes", { skip }, async () => {
  const axe = await readFile(AXE, "utf8");
  for (const colorScheme of ["light", "dark"]) {
    // The policy refuses scripts from elsewhere, axe's included.
    const page = await visit(browser, server.url, { colorScheme, bypassCSP: true });
    await page.selectOption("#collection", "default");
    const check = async (what) => {
      await page.evaluate(axe);
      const { violations } = await page.evaluate(() => globalThis.axe.run({ resultTypes: ["violations"] }));
      const serious = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
      assert.deepEqual(serious.map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map(({ html }) => html.slice(0, 160)).join(" ; ")}`), [], `${what}, ${colorScheme}`);
    };
    await ask(page, "What happened to the battery pack?");
    await page.locator(".footnotes button").first().click();
    await page.waitForSelector("#source mark");
    for (const fold of await page.locator(".fold summary").all()) await fold.click();
    await check("an answer with its source");
    await page.click("#to-search");
    await page.check("#explain");
    await page.fill("#query", "hotel night");
    await page.keyboard.press("Enter");
    await page.waitForSelector(".story");
    await page.locator("#hits > li > button").first().click();
    await page.waitForSelector(".stored mark");
    await check("an explained search");
    await page.click("#to-library");
    await page.waitForSelector("#documents li");
    await check("the library");
    await page.getByRole("link", { name: "Travel policy 2026" }).click();
    await page.waitForSelector(".framed");
    await check("a document");
    await page.locator(".recut summary").click();
    await page.getByRole("button", { name: "change", exact: true }).click();
    await check("a dialog");
    await page.keyboard.press("Escape");
    await page.click("#to-quality");
    await page.waitForSelector(".tiles > div");
    await page.setInputFiles("#reports", GATE);
    await page.waitForSelector(".report .whisker");
    await check("quality");
    await page.click("#to-admin");
    await page.waitForSelector("#view-admin .checks li");
    await page.waitForSelector("#view-admin table");
    await check("administration");
    await page.context().close();
  }
});

test("every sample exists in the corpus", async () => {
  const { files } = JSON.parse(await readFile(new URL("../../ui/samples.json", import.meta.url), "utf8"));
  const there = new Set(await below(CORPUS));
  assert.deepEqual(files.filter((path) => !there.has(path)), []);
});
