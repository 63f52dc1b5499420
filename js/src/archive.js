/**
 * Archives (section 12): the file that `banyan export` writes and `banyan import archive` reads. It proves nothing by
 * itself: each thing in it is checked as one from anywhere else.
 *
 * @import { Bytes } from './bytes.js'
 * @import { Realm } from './crypto.js'
 * @import { Of } from './shape.js'
 *
 * @typedef {keyof typeof FRAMES} Kind
 * @typedef {{ [K in Kind]: { kind: K } & Of<(typeof FRAMES)[K]> }[Kind]} Frame
 *
 * @typedef {object} Archive
 * @property {Map<string, Account>} accounts by id
 * @property {{ kind: string, why: string }[]} refused what was in it and was not taken
 * @property {number | null} damagedAt the byte where reading ended before the end; null if it is whole
 * @property {boolean} isWhole it has an end, nothing was refused, and what was taken has the digest that it names
 */
import { Account } from './account.js';
import { NotYet, Rejected, bigEndian, concat, hex, joined, unhex, utf8 } from './bytes.js';
import { decode, encode } from './cbor.js';
import { sha256 } from './crypto.js';
import { frontierDigest } from './logs.js';
import { u16 } from './ops.js';
import { bytes, id, list, record, string, uint, where } from './shape.js';
import { CONTROL } from './signed.js';

const MAX_BODY = 4_194_304;
const MAGIC = 'banyan archive 1';
const [account, raw, none] = [id(32), bytes(Infinity), bytes(0)];
const magic = where(string(64), (name) => name === MAGIC, MAGIC);
const parts = list(record({ entry: id(32), op: u16, raw }, {}));

/** By kind; more may follow in a later version. */
const FRAMES = {
  start: record({ code: uint(0), none, magic, realm: id(32) }, {}),
  control: record({ code: uint(1, 1), account, entries: list(CONTROL) }, {}),
  run: record({ code: uint(2, 2), account, raw }, {}),
  parts: record({ code: uint(3, 3), account, parts }, {}),
  done: record({ code: uint(4, 4), account }, {}),
  end: record({ code: uint(5, 5), none, digest: id(32) }, {}),
  checkpoint: record({ code: uint(6, 6), account, raw }, {}),
};
const KINDS = /** @type {Kind[]} */ (Object.keys(FRAMES));

/** @param {Bytes} body @param {string} digest @returns {Promise<Frame | null>} null: it is damaged */
async function readFrame(body, digest) {
  if (hex(await sha256(body)) !== digest) return null;
  try {
    const value = decode(body, undefined, Math.floor(body.length / 8) + 64);
    const kind = Array.isArray(value) ? KINDS[Number(value[0])] : undefined;
    return kind ? /** @type {Frame} */ ({ kind, ...FRAMES[kind].read(value) }) : null;
  } catch (error) {
    if (error instanceof Rejected) return null;
    throw error;
  }
}

/**
 * The frames before the first damage.
 *
 * @param {Bytes} file
 * @returns {Promise<{ frames: Frame[], damagedAt: number | null }>}
 */
export async function readFrames(file) {
  /** @type {Frame[]} */
  const frames = [];
  for (let at = 0; ;) {
    const size = at + 36 <= file.length ? new DataView(file.buffer, file.byteOffset + at).getUint32(0) : Infinity;
    const body = file.slice(at + 36, at + 36 + size);
    const isHere = size <= MAX_BODY && body.length === size;
    const frame = isHere ? await readFrame(body, hex(file.slice(at + 4, at + 36))) : null;
    if (!frame || (frame.kind === 'start') !== (at === 0)) return { frames, damagedAt: at };
    frames.push(frame);
    if (frame.kind === 'end') return { frames, damagedAt: null };
    at += 36 + size;
  }
}

/**
 * Reads an archive of any number of accounts, and checks everything in it.
 *
 * @param {Realm} realm @param {Bytes} file @param {number} [nowMs] @returns {Promise<Archive>}
 */
export async function readArchive(realm, file, nowMs = Date.now()) {
  const { frames, damagedAt } = await readFrames(file);
  /** @type {Archive['accounts']} */
  const accounts = new Map();
  /** @type {Archive['refused']} */
  const refused = [];
  let digest = '';
  for (const frame of frames) {
    if (frame.kind === 'start' && frame.realm !== realm.id) throw new Rejected(`an archive of realm ${frame.realm}`);
    if (frame.kind === 'end') digest = frame.digest;
    if (!('account' in frame)) continue;
    const into = accounts.get(frame.account) ?? new Account(realm, frame.account);
    accounts.set(frame.account, into);
    for (const add of thingsIn(frame)) {
      await add(into, nowMs).catch((error) => {
        if (!(error instanceof Rejected || error instanceof NotYet)) throw error;
        refused.push({ kind: frame.kind, why: error.message });
      });
    }
  }
  const known = [...accounts.values()].filter((one) => one.control.has(one.id));
  const heads = known.sort((a, b) => (a.id < b.id ? -1 : 1)).flatMap((one) => one.state().heads);
  const isWhole = damagedAt === null && !refused.length && digest === (await frontierDigest(heads));
  return { accounts, refused, damagedAt, isWhole };
}

/**
 * What adds each thing in a frame.
 *
 * @param {Frame} frame
 * @returns {((into: Account, nowMs: number) => Promise<void>)[]}
 */
function thingsIn(frame) {
  if (frame.kind === 'control') return frame.entries.map((entry) => (into, nowMs) => into.addControl(entry, nowMs));
  if (frame.kind === 'run') return [(into, nowMs) => into.addRun(frame.raw, nowMs)];
  if (frame.kind === 'checkpoint') return [(into) => into.addCheckpoint(frame.raw)];
  if (frame.kind === 'parts')
    return frame.parts.map(
      ({ raw, ...ref }) =>
        (into) =>
          into.addPart(ref, raw),
    );
  return [];
}

/**
 * All that was added to an account, for `banyan import archive`.
 *
 * @param {Account} from
 * @param {Set<string>} [only] runs that end with these entries, and their content, beside the control log: for a node
 *     that has the others
 * @returns {Promise<Bytes>}
 */
export async function writeArchive(from, only) {
  const isMeant = (/** @type {string} */ entry) => !only || only.has(entry);
  const [none, name] = [new Uint8Array(0), unhex(from.id)];
  const signed = [...from.control.values()].map(({ header, sig, body }) => ({ header, sig, ops: body }));
  const bodies = [
    [0, none, utf8(MAGIC), unhex(from.realm.id)],
    [1, name, list(CONTROL).write(signed)],
    ...[...from.checkpoints.values()].map(({ raw }) => [6, name, raw]),
    ...[...from.runs].filter(([last]) => isMeant(last)).map(([, raw]) => [2, name, raw]),
    ...[...from.parts.values()].filter(({ ref }) => isMeant(ref.entry)).map(({ ref, raw }) => [3, name, [[unhex(ref.entry), ref.op, raw]]]),
    [4, name],
    [5, none, unhex(await frontierDigest(from.state().heads))],
  ].map(encode);
  const framed = bodies.map(async (body) => concat(bigEndian(body.length, 4), await sha256(body), body));
  return joined(await Promise.all(framed));
}
