/** Whatever bytes come, a reader refuses them with a sentence, or reads them; it never breaks. */
import { test } from 'node:test';
import { NotYet, Rejected, unhex } from '../src/bytes.js';
import { TEST } from '../src/crypto.js';
import { readHeader } from '../src/entry.js';
import { readBody } from '../src/ops.js';
import { readCheckpoint, readRun } from '../src/signed.js';
import { SHAPES, readContent } from '../src/social.js';
import { vectors } from './support.js';

const HEADS = [0xff, 0x1b, 0x9b, 0xf6, 0x80, 0x3b];

/** Numbers below n, the same in each run. */
function numbers(seed) {
  let state = seed;
  return (n) => (state = (state * 1_103_515_245 + 12_345) & 0x7fffffff) % n;
}

/** The bytes with one thing wrong: a byte, a bit, the end missing, or a head too many. */
function mutated(bytes, draw) {
  const at = draw(bytes.length || 1);
  const changed = bytes.slice();
  const how = draw(4);
  if (how === 0) changed[at] = draw(256);
  if (how === 1) changed[at] ^= 1 << draw(8);
  if (how === 2) return bytes.slice(0, at);
  return how === 3 ? Uint8Array.of(...bytes.slice(0, at), HEADS[draw(HEADS.length)], ...bytes.slice(at)) : changed;
}

test('mutated bytes are refused or read', async () => {
  const [{ ops }, entries, { runs }, checkpoints, { said }] = await Promise.all(
    ['ops', 'entries', 'runs', 'checkpoints', 'social'].map(vectors),
  );
  const of = (collection) => said.filter((one) => one.collection === collection).map((one) => one.content);
  const targets = [
    [ops.map((one) => one.body), readBody],
    [entries.map((one) => one.header), readHeader],
    [runs.map((one) => one.run), (bytes) => readRun(TEST, bytes)],
    [checkpoints.map((one) => one.checkpoint), (bytes) => readCheckpoint(TEST, bytes)],
    ...Object.entries(SHAPES).map(([name, shape]) => [of(name), (bytes) => readContent(shape, bytes)]),
  ].filter(([inputs]) => inputs.length);
  const draw = numbers(7);
  const times = globalThis.process?.env?.BANYAN_NIGHT ? 20_000 : 4_000;
  for (let n = 0; n < times; n += 1) {
    const [inputs, read] = targets[draw(targets.length)];
    let bytes = unhex(inputs[draw(inputs.length)]);
    for (let wrongs = 1 + draw(4); wrongs > 0; wrongs -= 1) bytes = mutated(bytes, draw);
    try {
      await read(bytes);
    } catch (error) {
      if (!(error instanceof Rejected || error instanceof NotYet)) throw error;
    }
  }
});
