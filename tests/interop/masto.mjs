// Does with the masto library what tests/interop/by_masto.py asks, a JSON value a line:
//
//     node masto.mjs FOLDER-OF-NODE_MODULES
//     {"n": 1, "client": {"url": ..., "accessToken": ...}, "kind": "rest", "path": ["v1", "statuses", ["7"], "fetch"], "given": [...]}
//     {"n": 1, "gave": ...} or {"n": 1, "refused": "..."}
//
// A part of a path that is a list stands for `$select` of what is in it. `page: "all"` walks all pages by the library's
// iterator. `{"$file": ...}` stands for a file. A subscription answers at once, and then says {"of": 1, "told": ...}.

import { openAsBlob } from "node:fs";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const masto = createRequire(`${process.argv[2]}/`)("masto");
const MAKE = {
  rest: masto.createRestAPIClient,
  oauth: masto.createOAuthAPIClient,
  streaming: masto.createStreamingAPIClient,
};
const clients = new Map();
const lines = new Map();

const say = (value) => process.stdout.write(JSON.stringify(value) + "\n");

function clientOf(kind, config) {
  const key = JSON.stringify([kind, config]);
  if (!clients.has(key)) clients.set(key, MAKE[kind](config));
  return clients.get(key);
}

async function given(value) {
  if (value?.$file) return openAsBlob(value.$file, { type: value.type });
  if (value === null || typeof value !== "object") return value;
  if (Array.isArray(value)) return Promise.all(value.map(given));
  const parts = await Promise.all(Object.entries(value).map(async ([name, part]) => [name, await given(part)]));
  return Object.fromEntries(parts);
}

async function listen(n, subscription) {
  lines.set(n, subscription);
  for await (const { event, payload } of subscription) say({ of: n, told: { event, payload } });
}

async function answer({ n, kind, client, path, given: args = [], page, close }) {
  if (close) {
    lines.get(close)?.unsubscribe();
    return null;
  }
  let at = clientOf(kind, client);
  for (const part of path.slice(0, -1)) at = Array.isArray(part) ? at.$select(part[0]) : at[part];
  const found = at[path.at(-1)](...(await given(args)));
  if (kind === "streaming") {
    void listen(n, found);
    return null;
  }
  if (page !== "all") return found;
  const all = [];
  for await (const some of found) all.push(...some);
  return all;
}

for await (const line of createInterface({ input: process.stdin })) {
  const asked = JSON.parse(line);
  answer(asked).then(
    (gave) => say({ n: asked.n, gave: gave ?? null }),
    (error) => say({ n: asked.n, refused: `${error.name}: ${error.message}` }),
  );
}
process.exit(0);
