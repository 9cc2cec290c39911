// Starts the real binary over a folder of its own, and says where the documents for the tests are.

import { execFile, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, relative, resolve } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

export const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), "../../..");
const BINARY = process.env.WELLSPRING_BINARY ?? join(process.env.CARGO_TARGET_DIR ?? join(ROOT, "target"), "debug/wellspring");
const SHARED = process.env.WELLSPRING_TEST_SHARED;

/** The invented organisation's documents. */
export const CORPUS = join(ROOT, "fixtures/corpus");

/** A folder of real documents, or null where they are absent. */
export function real(folder) {
  const path = SHARED && join(SHARED, "documents", folder);
  return path && existsSync(path) ? path : null;
}

/** Every file below a folder, sorted. */
export async function below(folder) {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => relative(folder, join(entry.parentPath, entry.name))).sort();
}

/** A user who signs in with a password; it may administer its tenant. */
export const ADA = { name: "ada@example.org", password: "correct horse battery" };

async function makeUser(data, { name, password }) {
  await new Promise((done, failed) => {
    const command = execFile(BINARY, ["--data", data, "user", "add", name, "--rights", "admin"], (error) => (error ? failed(error) : done()));
    command.stdin.end(`${password}\n`);
  });
}

/** A running server: `{ url, key, stop() }`; with `auth.mode` at `keys`, `key` is the first one, which it prints once. `user` is
 * made before it starts. */
export async function start(settings = {}, { user } = {}) {
  const data = await mkdtemp(join(tmpdir(), "wellspring-page-"));
  if (user) await makeUser(data, user);
  const server = spawn(BINARY, ["--data", data, "serve", "--listen", "127.0.0.1:0"], { stdio: ["ignore", "pipe", "inherit"], env: { ...process.env, DATABASE_URL: "", RUST_LOG: "warn", ...settings } });
  const ended = new Promise((end) => server.once("exit", end));
  const lines = createInterface({ input: server.stdout })[Symbol.asyncIterator]();
  const next = async () => (await Promise.race([lines.next(), ended.then(() => ({}))])).value ?? "";
  const line = await next();
  const url = /^listening on (http:\/\/\S+)/.exec(line)?.[1];
  if (!url) throw new Error(`${BINARY} did not start: ${line}`);
  const key = settings.WELLSPRING__AUTH__MODE === "keys" ? (await next()).split(" ").at(-1) : null;
  return {
    url,
    key,
    async stop() {
      server.kill("SIGTERM");
      await ended;
      await rm(data, { recursive: true, force: true });
    },
  };
}
