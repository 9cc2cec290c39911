// Opens pages in the browser that is installed, and holds each of them to what every page must keep.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { chromium } from "playwright-core";

/** The first of the usual names that is installed, or undefined. */
export const browserPath = (process.env.PATH ?? "").split(delimiter)
  .flatMap((folder) => ["chromium", "chromium-browser", "google-chrome"].map((name) => join(folder, name)))
  .find((path) => existsSync(path));

/** Launches it. */
export const launch = () => chromium.launch({ executablePath: browserPath, args: ["--no-sandbox", "--disable-quic", "--disable-background-networking"] });

/** A page that was opened and is ready (or shows `until`); `page.kept()` checks that it asked nobody else and that nothing was refused or thrown. */
export async function visit(browser, url, { hash = "", until = "html[data-ready]", ...options } = {}) {
  const context = await browser.newContext({ viewport: { width: 1400, height: 900 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  const wrong = [];
  page.sizes = new Map();
  const own = new URL(url).host;
  page.on("request", (request) => {
    if (new URL(request.url()).host !== own && !request.url().startsWith("blob:")) wrong.push(`asked ${request.url()}`);
  });
  page.on("response", async (response) => {
    const { responseBodySize, responseHeadersSize } = await response.request().sizes().catch(() => ({ responseBodySize: 0, responseHeadersSize: 0 }));
    page.sizes.set(new URL(response.url()).pathname, responseBodySize + responseHeadersSize);
  });
  page.on("pageerror", (error) => wrong.push(`threw ${error.message}`));
  // A refusal of the server is told on the page, too; the browser's own line about its status is no fault.
  page.on("console", (message) => {
    if (message.type() === "error" && !message.text().startsWith("Failed to load resource")) wrong.push(`said ${message.text()}`);
  });
  page.kept = () => assert.deepEqual(wrong, []);
  await page.goto(url + hash);
  await page.waitForSelector(until);
  return page;
}

/** Letters and digits alone: two texts that say the same are equal in it. */
export const plain = (text) => text.normalize("NFKD").toLowerCase().replace(/[^\p{L}\p{N}]/gu, "");

/** Whether an element lies within what is seen of the page. */
export async function inSight(locator) {
  const box = await locator.boundingBox();
  const { width, height } = locator.page().viewportSize();
  return Boolean(box) && box.x >= 0 && box.y >= 0 && box.x < width && box.y + Math.min(box.height, 20) <= height;
}
