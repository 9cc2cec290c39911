// An answer as it is written, with fetch alone: node --experimental-strip-types examples/ask.ts

type Citation = { n: number; source: string; page: number | null; quote: string };
type Answer = { answer: string; citations: Citation[]; abstained: boolean };

const url: string = process.env.WELLSPRING_URL ?? "http://127.0.0.1:8080";
const key: string | undefined = process.env.WELLSPRING_KEY;

async function* events(body: ReadableStream<Uint8Array>): AsyncGenerator<{ name: string; data: any }> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const piece of body) {
    rest += decoder.decode(piece, { stream: true });
    const blocks: string[] = rest.split("\n\n");
    rest = blocks.pop() ?? "";
    for (const block of blocks) {
      const field = (name: string): string | undefined => block.split("\n").find((line) => line.startsWith(`${name}:`))?.slice(name.length + 1).trim();
      const data = field("data");
      if (data) yield { name: field("event") ?? "message", data: JSON.parse(data) };
    }
  }
}

const reply: Response = await fetch(`${url}/v1/answers`, {
  method: "POST",
  headers: { "content-type": "application/json", accept: "text/event-stream", ...(key ? { authorization: `Bearer ${key}` } : {}) },
  body: JSON.stringify({ question: "What may a hotel night outside a capital cost?", stream: true }),
});
if (!reply.ok || !reply.body) throw new Error(await reply.text());
for await (const { name, data } of events(reply.body)) {
  if (name === "token") process.stdout.write(data.text);
  if (name === "error") throw new Error(data.detail);
  if (name === "done" || name === "refused") {
    const { citations } = data as Answer;
    console.log();
    for (const { n, source, page, quote } of citations) console.log(`[${n}] ${source}${page ? `, page ${page}` : ""}: ${quote}`);
  }
}

export {};
