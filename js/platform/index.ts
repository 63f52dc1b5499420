/**
 * A client of a node's platform API. The types are generated from the node's own /openapi.json (schema.d.ts), and
 * `openapi-fetch` makes requests of them; here is what a request alone cannot do: many lines, streams, signatures.
 */
import createClient, { type Client } from 'openapi-fetch';
import type { components, paths } from './schema.js';

export type { components, paths };
export type Schemas = components['schemas'];
export type Operation = paths['/v1/operations']['post']['requestBody']['content']['application/x-ndjson'];
export type OperationRow = Schemas['OperationRow'];
export type FirehoseEvent = Schemas['FirehoseEvent'];
export type FirehoseNote = Schemas['FirehoseNote'];
export type FirehoseFilters = NonNullable<paths['/v1/firehose']['get']['parameters']['query']>;

/** What a node refused: `status`, a `code` for programs, and a sentence. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    readonly code: string | null,
    message: string,
  ) {
    super(message);
  }
}

const BATCH = 1_000;
const TRIES = 4;
const TOLERANCE_S = 300;

/** A client of all endpoints. Its answers have `data`, or `error` with a sentence. */
export const connect = (url: string, token: string): Client<paths> =>
  createClient<paths>({ baseUrl: url, headers: { authorization: `Bearer ${token}` } });

const pause = (seconds: number) => new Promise((resolve) => setTimeout(resolve, 1_000 * seconds));
const authorized = (token: string) => ({ authorization: `Bearer ${token}` });

async function refusal(answer: Response): Promise<Refused> {
  const said = (await answer.json().catch(() => ({}))) as Partial<Schemas['DoorRefusalBody']>;
  return new Refused(answer.status, said.code ?? null, said.error ?? `status ${answer.status}`);
}

/**
 * Does operations of any number, in their order, and gives a row for each. Each gets an id if it has none, so lines whose
 * answer was lost are sent again and not done again. The next lines are taken when these are answered.
 */
export async function* publish(
  url: string,
  token: string,
  operations: Iterable<Operation> | AsyncIterable<Operation>,
): AsyncGenerator<OperationRow> {
  let some: Operation[] = [];
  for await (const one of operations) {
    some.push({ ...one, id: one.id ?? crypto.randomUUID() });
    if (some.length === BATCH) {
      yield* published(url, token, some);
      some = [];
    }
  }
  if (some.length) yield* published(url, token, some);
}

async function* published(url: string, token: string, operations: Operation[]): AsyncGenerator<OperationRow> {
  const headers = { ...authorized(token), 'content-type': 'application/x-ndjson' };
  let asked = operations;
  for (let tries = 1; asked.length; tries++) {
    const body = asked.map((one) => JSON.stringify(one) + '\n').join('');
    const answer = await fetch(`${url}/v1/operations`, { method: 'POST', headers, body }).catch((error: unknown) => {
      if (tries === TRIES) throw error;
      return null;
    });
    if (answer && !answer.ok && (answer.status < 500 || tries === TRIES)) throw await refusal(answer);
    const text = answer?.ok ? await answer.text().catch(() => '') : '';
    const rows = text.split('\n').filter(Boolean).map((line) => JSON.parse(line) as OperationRow);
    const final = rows.findIndex((row) => row.status >= 500 && tries < TRIES); // from there on, in order
    const done = final === -1 ? rows : rows.slice(0, final);
    yield* done;
    asked = asked.slice(done.length);
    if (asked.length) await pause(0.2 * 2 ** tries);
  }
}

async function* linesOf(answer: Response): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const piece of answer.body ?? []) {
    const lines = (rest + decoder.decode(piece, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    yield* lines.filter(Boolean);
  }
}

const isNote = (line: FirehoseEvent | FirehoseNote): line is FirehoseNote =>
  ['begin', 'heartbeat', 'frontier', 'end'].includes(line.kind);

/**
 * The firehose, over every restart of the node: after a break it goes on with the cursor of the last whole line. Save
 * `cursor` of an event together with what you make of it. With `follow: false` it ends where nothing more is held.
 */
export async function* follow(
  url: string,
  token: string,
  filters: FirehoseFilters = {},
): AsyncGenerator<FirehoseEvent> {
  let cursor: string | undefined;
  for (let failures = 0; ; failures++) {
    if (failures) await pause(Math.min(0.1 * 2 ** failures, 5));
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries(filters)) if (value !== undefined) query.set(name, String(value));
    if (cursor !== undefined) query.set('since', cursor);
    const answer = await fetch(`${url}/v1/firehose?${query}`, { headers: authorized(token) }).catch(() => null);
    if (!answer) continue;
    if (!answer.ok) {
      if (answer.status < 500 && answer.status !== 429) throw await refusal(answer);
      continue;
    }
    try {
      for await (const text of linesOf(answer)) {
        const line = JSON.parse(text) as FirehoseEvent | FirehoseNote;
        failures = 0;
        cursor = line.cursor;
        if (!isNote(line)) yield line;
        else if (line.kind === 'end' && line.why === 'caught_up') return;
      }
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // fetch: the connection broke
    }
  }
}

/** Whether a delivery of a webhook was signed with its secret (Standard Webhooks) and is not old. */
export async function isGenuine(headers: Headers, body: Uint8Array, secret: string, now = Date.now()): Promise<boolean> {
  const [id, at, said] = ['id', 'timestamp', 'signature'].map((name) => headers.get(`webhook-${name}`) ?? '');
  if (Math.abs(now / 1_000 - Number(at)) > TOLERANCE_S) return false;
  const raw = Uint8Array.from(atob(secret.replace(/^whsec_/, '')), (letter) => letter.charCodeAt(0));
  const key = await crypto.subtle.importKey('raw', raw, { name: 'HMAC', hash: 'SHA-256' }, false, ['verify']);
  const head = new TextEncoder().encode(`${id}.${at}.`);
  const signed = new Uint8Array(head.length + body.length);
  signed.set(head);
  signed.set(body, head.length);
  for (const one of (said ?? '').split(' ').filter((part) => part.startsWith('v1,'))) {
    const signature = Uint8Array.from(atob(one.slice(3)), (letter) => letter.charCodeAt(0));
    if (await crypto.subtle.verify('HMAC', key, signature, signed)) return true;
  }
  return false;
}
