/**
 * What carries a signature (sections 4 and 6): runs, control entries and checkpoints. What these functions return was
 * signed by the key that it names. Whether that key may speak for the account, the control log says.
 *
 * @import { Bytes } from './bytes.js'
 * @import { Value } from './cbor.js'
 * @import { Realm } from './crypto.js'
 * @import { Entry } from './entry.js'
 * @import { Of } from './shape.js'
 *
 * @typedef {Of<typeof CONTROL>} SignedControl
 * @typedef {Entry & { signer: string, sig: Bytes }} ControlEntry `signer` is the digest of the key that signed it
 * @typedef {Of<typeof CHECKPOINT> & { id: string, signer: string }} Checkpoint
 *
 * @typedef {object} Run consecutive entries of one log, under the signature of the last
 * @property {Entry[]} entries
 * @property {number} base the log's total before it
 * @property {{ seq: number, id: string }[]} skips what its entries skip to below it
 */
import { Rejected, unhex } from './bytes.js';
import { encode } from './cbor.js';
import { hash, keyDigest, verify } from './crypto.js';
import { logName, makeEntry, readEntry, skipOf } from './entry.js';
import { MAX_PART_BYTES, u32, u48 } from './ops.js';
import { bytes, distinct, format, id, list, maybe, parse, record, time, uint, where } from './shape.js';

const MAX_RUN_BYTES = 1_048_576;
const MAX_RUN = 1_024;
const MAX_CHECKPOINT = 32_768;

const sig = bytes(64, 64);
const named = record({ seq: u48, id: id(32) });
const step = record({ dt: time, partBytes: uint(MAX_PART_BYTES), ops: bytes(Infinity) });
const RUN = record({
  ...{ account: id(32), writer: id(32), log: uint(2 ** 32 - 1, 1), first: u48, prev: maybe(id(32)), base: uint() },
  ...{ skips: list(named), entries: list(step, MAX_RUN, 1), sig },
});
export const CONTROL = record({ header: bytes(Infinity), sig, ops: bytes(Infinity) });
const pin = record({ writer: id(32), log: u32, seq: u48, id: id(32) });
const pins = where(
  list(pin, 256),
  distinct(({ writer, log }) => logName(writer, log)),
  'no log twice',
);
const CHECKPOINT = record({
  account: id(32),
  writer: where(id(32), (writer) => !/^0*$/.test(writer), 'a key'),
  ...{ n: uint(2 ** 48 - 1, 1), control: named, pins, sig },
});

/** @param {Realm} realm @param {string} writer @param {string} id @param {Bytes} signature @param {string} what */
async function demandSigned(realm, writer, id, signature, what) {
  if (!(await verify(realm, writer, id, signature))) throw new Rejected(`${what} is not signed by ${writer}`);
}

/** @param {Realm} realm @param {Bytes} raw @returns {Promise<Run>} */
export async function readRun(realm, raw) {
  if (raw.length > MAX_RUN_BYTES) throw new Rejected(`a run has at most ${MAX_RUN_BYTES} bytes, not ${raw.length}`);
  const run = parse(RUN, raw);
  const { account, writer, log, first, base, skips } = run;
  if (first === 0 && base !== 0) throw new Rejected(`a log begins with base 0, not ${base}`);
  const ids = new Map(skips.map((skip) => [skip.seq, skip.id]));
  const below = run.entries.map((_, i) => skipOf(first + i)).filter((to) => to !== null && to < first);
  const wanted = [...new Set(below)].sort((a, b) => Number(a) - Number(b));
  if (skips.map((skip) => skip.seq).join() !== wanted.join())
    throw new Rejected(`a run at ${first} skips to ${wanted}`);
  /** @type {Entry[]} */
  const entries = [];
  let [prev, now, total] = [run.prev, 0n, base];
  for (const [i, { dt, partBytes, ops }] of run.entries.entries()) {
    if (dt === 0n && i > 0) throw new Rejected('time does not rise within a run');
    const seq = first + i;
    const to = skipOf(seq);
    const skip = to === null ? null : (ids.get(to) ?? entries[to - first].id);
    [now, total] = [now + dt, total + partBytes + ops.length];
    const entry = await makeEntry(realm, { account, writer, log, seq, prev, skip, time: now, total }, ops, partBytes);
    ids.set(seq, (prev = entry.id));
    entries.push(entry);
  }
  await demandSigned(realm, writer, entries[entries.length - 1].id, run.sig, `the run of log ${log} at ${first}`);
  return { entries, base, skips };
}

/**
 * @param {Entry[]} entries consecutive ones of one log
 * @param {Bytes} signature of the last
 * @param {(seq: number) => string} idAt the id of an entry before them
 */
export function writeRun(entries, signature, idAt) {
  const [{ account, writer, log, seq: first, prev, total, body, partBytes }] = entries;
  const below = new Set(entries.map((entry) => skipOf(entry.seq)).filter((to) => to !== null && to < first));
  const places = [...below].map(Number).sort((a, b) => a - b);
  const skips = places.map((seq) => ({ seq, id: idAt(seq) }));
  const since = entries.map((entry, i) => (i === 0 ? entry.time : entry.time - entries[i - 1].time));
  const steps = entries.map((entry, i) => ({ dt: since[i], partBytes: entry.partBytes, ops: entry.body }));
  const base = total - body.length - partBytes;
  return format(RUN, { account, writer, log, first, prev, base, skips, entries: steps, sig: signature });
}

/** @param {Realm} realm @param {SignedControl} control @returns {Promise<ControlEntry>} */
export async function readControl(realm, { header, sig, ops }) {
  const entry = await readEntry(realm, header, ops);
  if (entry.log !== 0) throw new Rejected(`an entry of log ${entry.log} among those of the control log`);
  await demandSigned(realm, entry.writer, entry.id, sig, `control entry ${entry.seq}`);
  return { ...entry, sig, signer: await keyDigest(entry.writer) };
}

/** @param {Realm} realm @param {Bytes} raw @returns {Promise<Checkpoint>} */
export async function readCheckpoint(realm, raw) {
  if (raw.length > MAX_CHECKPOINT)
    throw new Rejected(`a checkpoint of ${raw.length} bytes; ${MAX_CHECKPOINT} are possible`);
  const checkpoint = parse(CHECKPOINT, raw);
  const unsigned = /** @type {Value[]} */ (CHECKPOINT.write(checkpoint)).slice(0, -1);
  const name = await hash('checkpoint', unhex(realm.id), encode(unsigned));
  await demandSigned(realm, checkpoint.writer, name, checkpoint.sig, 'a checkpoint');
  return { ...checkpoint, id: name, signer: await keyDigest(checkpoint.writer) };
}
