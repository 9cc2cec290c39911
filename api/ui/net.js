// Talks to the server: JSON calls with problems as errors, event streams, and small makers of elements.

/** What the server said is wrong (RFC 9457), or that it can't be reached. */
export class Problem extends Error {
  constructor(detail, code) {
    super(detail);
    this.code = code;
  }
}

async function problem(response) {
  try {
    const body = await response.json();
    return new Problem(body.detail || body.title || `the server answered ${response.status}`, body.code);
  } catch {
    return new Problem(`the server answered ${response.status} without a reason`, "unknown");
  }
}

/** Sends a request; resolves to the response if it went well. */
export async function send(path, options = {}) {
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem("the server can't be reached; is it still running?", "unreachable");
  }
  if (response.status === 401) dispatchEvent(new Event("wellspring:unauthenticated"));
  if (!response.ok) throw await problem(response);
  return response;
}

/** Sends JSON (or nothing) and reads JSON. */
export async function call(method, path, body, signal) {
  const options = { method, signal };
  if (body !== undefined) {
    options.headers = { "content-type": "application/json" };
    options.body = JSON.stringify(body);
  }
  const response = await send(path, options);
  return response.status === 204 ? null : response.json();
}

/** Posts JSON and yields the events of the answering stream as `{ name, data }`. */
export async function* stream(path, body, signal) {
  const response = await send(path, {
    method: "POST",
    headers: { "content-type": "application/json", accept: "text/event-stream" },
    body: JSON.stringify(body),
    signal,
  });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    rest += value;
    const blocks = rest.split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const event = { name: "message", data: [] };
      for (const line of block.split("\n")) {
        const colon = line.indexOf(":");
        if (colon <= 0) continue; // a comment keeps the connection alive
        const text = line.slice(colon + 1).replace(/^ /, "");
        if (line.startsWith("event:")) event.name = text;
        if (line.startsWith("data:")) event.data.push(text);
      }
      if (event.data.length) yield { name: event.name, data: JSON.parse(event.data.join("\n")) };
    }
  }
}

/** An element with properties and children; strings become text, never markup. */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "class") element.className = value;
    else if (name.startsWith("aria-")) element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** The element with this id. */
export const at = (id) => document.getElementById(id);

/** Shows a line of state; `tone` is "", "bad" or "warn". */
export function say(element, text, tone = "") {
  element.textContent = text;
  element.classList.toggle("bad", tone === "bad");
  element.classList.toggle("warn", tone === "warn");
}

/** The path of a collection. */
export const inCollection = (collection, rest = "") => `/v1/collections/${encodeURIComponent(collection)}${rest}`;

/** A count with its unit. */
export function count(number, one, many = `${one}s`) {
  return `${number.toLocaleString()} ${number === 1 ? one : many}`;
}
