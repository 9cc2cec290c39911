// Talks to the server: JSON with problems as errors, event streams, uploads with progress, signing in and out.

import { reader } from "./sse.js";
import { setSignedIn } from "./session.js";
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

async function send(path, { method = "GET", json, signal, accept } = {}) {
  for (;;) {
    const headers = accept ? { accept } : {};
    const options = { method, headers, signal };
    if (json !== undefined) {
      headers["content-type"] = "application/json";
      options.body = JSON.stringify(json);
    }
    let response;
    try {
      response = await fetch(path, options);
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Problem(T.unreachable, "unreachable");
    }
    if (response.ok) return response;
    if (response.status === 401 && (await unlock())) continue;
    throw problem(response.status, await response.text());
  }
}

/** Trades a key for a cookie that no script reads; resolves to whether the server took it. */
export async function signIn(key) {
  const body = JSON.stringify({ key });
  const response = await fetch("/v1/session", { method: "POST", headers: { "content-type": "application/json" }, body });
  if (response.status === 401) return false;
  if (!response.ok) throw problem(response.status, await response.text());
  setSignedIn(true);
  return true;
}

/** Gives the cookie back. */
export async function signOut() {
  setSignedIn(false);
  await fetch("/v1/session", { method: "DELETE" });
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
export function upload(path, form, progress, signal) {
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
