// Signing in with a name and a password: wrong ones, tokens that end, two tabs, and the way out.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { browserPath, launch, visit } from "./browser.js";
import { ADA, start } from "./server.js";

const skip = browserPath ? false : "no chromium is installed";

let server;
let browser;
before(async () => {
  if (skip) return;
  [server, browser] = await Promise.all([start({ WELLSPRING__AUTH__MODE: "keys" }, { user: ADA }), launch()]);
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

async function give(page, password) {
  await page.fill("#field-user", ADA.name);
  await page.fill("#field-password", password);
  await page.locator("dialog").getByRole("button", { name: "Sign in", exact: true }).click();
}

async function signedIn() {
  const page = await visit(browser, server.url, { hash: "#/admin", until: "dialog" });
  await page.getByRole("button", { name: "Sign in with a name and a password" }).click();
  await give(page, ADA.password);
  await page.getByRole("button", { name: "Make a key" }).waitFor();
  return page;
}

/** Asks the server through the page's own module, as every view does. */
const listed = (page) => page.evaluate(async () => {
  const { call } = await import("/ui/api.js");
  return (await call("GET", "/v1/collections")).collections.length;
});

test("a wrong password is said to be wrong, the right one opens, and the way in is remembered", { skip }, async () => {
  const page = await visit(browser, server.url, { hash: "#/admin", until: "dialog" });
  assert.ok(await page.locator("#field-key").isVisible() && !(await page.locator("#field-password").isVisible()));
  await page.getByRole("button", { name: "Sign in with a name and a password" }).click();
  await give(page, "wrong horse battery");
  await page.getByText("The name or the password is wrong.").waitFor();
  if (process.env.SHOTS) await page.screenshot({ path: `${process.env.SHOTS}/door.png` });
  await give(page, ADA.password);
  await page.getByRole("button", { name: "Make a key" }).waitFor();
  assert.equal(await page.locator("#leave").textContent(), `Sign out ${ADA.name}`);
  if (process.env.SHOTS) await page.screenshot({ path: `${process.env.SHOTS}/inside.png` });
  const seen = await page.evaluate(() => JSON.stringify(localStorage) + document.cookie);
  assert.ok(!/w[ar]_|battery/.test(seen), `no script sees a token or the password: ${seen}`);
  await page.click("#leave");
  await page.waitForSelector("dialog #field-password:visible");
  assert.deepEqual(await page.context().cookies(), [], "the cookies were taken back");
  page.kept();
  await page.context().close();
});

test("an access token that has ended is replaced without a question, in both tabs", { skip }, async () => {
  const page = await signedIn();
  const other = await page.context().newPage();
  await other.goto(`${server.url}#/library`);
  await other.waitForSelector("html[data-ready]");
  const refreshed = [];
  for (const one of [page, other]) one.on("response", (reply) => reply.url().endsWith("/v1/auth/refresh") && refreshed.push(reply.status()));
  // By the clock: both tabs find it out at the same moment.
  await page.evaluate(() => {
    const { name } = JSON.parse(localStorage.getItem("wellspring.account"));
    localStorage.setItem("wellspring.account", JSON.stringify({ name, until: 1 }));
  });
  await Promise.all([listed(page), listed(other), listed(page), listed(other)]);
  assert.ok(refreshed.length >= 1 && refreshed.every((status) => status === 200), `one after the other: ${refreshed}`);
  // By the server: the cookie is gone before its time.
  await page.context().clearCookies({ name: "wellspring" });
  await Promise.all([listed(page), listed(other)]);
  assert.equal(await page.locator("dialog").count() + (await other.locator("dialog").count()), 0);
  assert.ok(refreshed.every((status) => status === 200), `no tab ends what the other goes on with: ${refreshed}`);
  page.kept();
  await page.context().close();
});

test("what was signed in from elsewhere is out when the sign-in ends there", { skip }, async () => {
  const page = await signedIn();
  // Somebody takes the refresh token; whoever comes second with it ends the sign-in for both.
  const stolen = (await page.context().cookies(`${server.url}v1/auth`)).find(({ name }) => name === "wellspring_refresh").value;
  const use = () => fetch(`${server.url}v1/auth/refresh`, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ refresh_token: stolen }) });
  assert.equal((await use()).status, 200);
  const asked = page.waitForSelector("dialog #field-password:visible");
  const refused = listed(page).catch((error) => error.message);
  await asked;
  await page.locator("dialog").getByRole("button", { name: "Cancel" }).click();
  assert.match(await refused, /not valid|credential/);
  await page.context().close();
});
