// Talks to the server: JSON with problems as errors, event streams, uploads with progress, signing in and out.
//
// A sign-in with a password is gone on with before its access token ends, by one tab at a time: the server ends it when a
// refresh token comes twice.

import { reader } from "./sse.js";
import { account, setAccount, setSignedIn } from "./session.js";
import { T } from "./text.js";

/** What the server said is wrong (RFC 9457), or that it can't be reached (`code` "unreachable"). */
export class Problem extends Error {
  constructor(detail, code, path) {
    super(detail);
    this.code = code;
    this.path = path;
  }
}

let unlock = async () => false;

/** `ask()` is called when the server wants a key; it resolves to whether somebody signed in. */
export function onLocked(ask) {
  unlock = ask;
}

function problem(status, text) {
  try {
    const body = JSON.parse(text);
    return new Problem(body.detail || body.title || T.noReason(status), body.code, body.path);
  } catch {
    return new Problem(T.noReason(status), "unknown");
  }
}

const post = (path, json) => fetch(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(json) });

// How long before its end a token is replaced.
const EARLY = 30_000;

/** Replaces the access token that ends at `seen`; resolves to whether there is a newer one. */
function goOn(seen) {
  const work = async () => {
    const now = account();
    if (!now) return false;
    // Another tab was first.
    if (now.until !== seen) return true;
    const response = await post("/v1/auth/refresh", {});
    if (response.ok) remember(await response.json());
    else if (response.status === 401) setAccount(null);
    return response.ok;
  };
  // Browsers lend locks to pages that came safely (TLS or this machine) only.
  return navigator.locks ? navigator.locks.request("wellspring.refresh", work) : work();
}

/** Sees to it that the next request finds a token that is good for a while. */
async function fresh() {
  const now = account();
  // If the server is away, the request itself will say so.
  if (now && Date.now() > now.until - EARLY) await goOn(now.until).catch(() => false);
}

async function send(path, { method = "GET", json, signal, accept } = {}) {
  for (;;) {
    const headers = accept ? { accept } : {};
    const options = { method, headers, signal };
    if (json !== undefined) {
      headers["content-type"] = "application/json";
      options.body = JSON.stringify(json);
    }
    await fresh();
    const seen = account()?.until;
    let response;
    try {
      response = await fetch(path, options);
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Problem(T.unreachable, "unreachable");
    }
    if (response.ok) return response;
    if (response.status === 401 && ((seen && (await goOn(seen).catch(() => false))) || (await unlock()))) continue;
    throw problem(response.status, await response.text());
  }
}

/** Trades a key for a cookie that no script reads; resolves to whether the server took it. */
export async function signIn(key) {
  const response = await reached(post("/v1/session", { key }));
  if (response.status === 401) return false;
  if (!response.ok) throw problem(response.status, await response.text());
  setSignedIn(true);
  setAccount(null);
  return true;
}

/** Trades a name and a password for cookies that no script reads; resolves to whether the server took them. */
export async function signInAs(name, password) {
  const response = await reached(post("/v1/auth/login", { name, password, cookie: true }));
  if (response.status === 401) return false;
  if (!response.ok) throw problem(response.status, await response.text());
  remember(await response.json());
  return true;
}

function remember({ user, expires_in }) {
  setSignedIn(true);
  setAccount({ name: user.name, until: Date.now() + expires_in * 1000 });
}

async function reached(response) {
  try {
    return await response;
  } catch {
    throw new Problem(T.unreachable, "unreachable");
  }
}

/** Gives the cookies back; a sign-in with a password ends on the server, too. */
export async function signOut() {
  const who = account();
  setSignedIn(false);
  setAccount(null);
  await (who ? post("/v1/auth/logout", {}) : fetch("/v1/session", { method: "DELETE" }));
}

/** Sends JSON (or nothing) and reads JSON. */
export async function call(method, path, json, signal) {
  return (await send(path, { method, json, signal })).json();
}

/** Reads text. */
export async function text(path, signal) {
  return (await send(path, { signal })).text();
}

/** Reads a file whole. */
export async function bytes(path, signal) {
  return new Uint8Array(await (await send(path, { signal })).arrayBuffer());
}

/** Posts JSON and yields the events of the answering stream as `{ name, data }`, data parsed. */
export async function* stream(path, json, signal) {
  const response = await send(path, { method: "POST", json, signal, accept: "text/event-stream" });
  const pieces = response.body.pipeThrough(new TextDecoderStream()).getReader();
  const events = reader();
  try {
    for (;;) {
      const { value, done } = await pieces.read();
      if (done) return;
      for (const { name, data } of events.push(value)) yield { name, data: JSON.parse(data) };
    }
  } finally {
    pieces.cancel().catch(() => {});
  }
}

/** Uploads a form; `progress(share)` hears 0 to 1 while the bytes leave. `fetch` could not say how far it is. */
export async function upload(path, form, progress, signal) {
  await fresh();
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", path);
    request.upload.addEventListener("progress", ({ loaded, total }) => total && progress(loaded / total));
    request.addEventListener("load", () => {
      if (request.status >= 200 && request.status < 300) resolve(JSON.parse(request.responseText));
      else reject(problem(request.status, request.responseText));
    });
    request.addEventListener("error", () => reject(new Problem(T.unreachable, "unreachable")));
    request.addEventListener("abort", () => reject(new DOMException("", "AbortError")));
    signal?.addEventListener("abort", () => request.abort());
    request.send(form);
  });
}

/** The path of a collection, and of a document in it. */
export const inCollection = (collection, rest = "") => `/v1/collections/${encodeURIComponent(collection)}${rest}`;
export const ofDocument = (collection, id, rest = "") => inCollection(collection, `/documents/${encodeURIComponent(id)}${rest}`);
