// Reads server-sent events out of pieces of text as they arrive, cut anywhere.

/** A reader: `push(text)` gives the events `{ name, data }` that became whole with it, `data` as text. */
export function reader() {
  let rest = "";
  let name = "message";
  let data = [];
  return {
    push(text) {
      rest += text;
      const events = [];
      // A carriage return at the very end may be half of a line break.
      const lines = rest.split(/\r\n|\n|\r(?!$)/);
      rest = lines.pop();
      for (const line of lines) {
        if (line === "") {
          if (data.length) events.push({ name, data: data.join("\n") });
          name = "message";
          data = [];
          continue;
        }
        const colon = line.indexOf(":");
        if (colon === 0) continue; // a comment keeps the connection alive
        const field = colon < 0 ? line : line.slice(0, colon);
        const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
        if (field === "event") name = value;
        if (field === "data") data.push(value);
      }
      return events;
    },
  };
}
