/**
 * Granted logs (section 7): which entries of each count. And the frontier (section 9): where all logs stand.
 *
 * @import { Realm } from './crypto.js'
 * @import { Control, Grant, Pin } from './control.js'
 * @import { Entry } from './entry.js'
 * @import { Op } from './ops.js'
 * @import { Checkpoint } from './signed.js'
 *
 * @typedef {{ account: string, writer: string, log: number, length: number, id: string | null, flag: boolean }} Head
 * @typedef {{ grant: Grant, chain: Entry[], forked: boolean }} Counted one log
 */
import { bigEndian, concat, grouped, hex, joined, unhex, utf8 } from './bytes.js';
import { grantOf } from './control.js';
import { sha256 } from './crypto.js';
import { logName } from './entry.js';
import { partOf } from './ops.js';

const DAY_MS = 86_400_000n;

/** @param {Realm} realm @param {{ grantedMs: number }} grant @param {Pick<Entry, 'seq' | 'time' | 'total'>} header */
export function isWithinLimits(realm, grant, { seq, time, total }) {
  const elapsed = (time >> 16n) - BigInt(Math.max(grant.grantedMs, realm.birthMs));
  /** @param {number} daily */
  const since = (daily) => (elapsed > 0n ? (BigInt(daily) * elapsed) / DAY_MS : 0n);
  const [entries, bytes] = [since(realm.entriesPerDay), since(realm.bytesPerDay)];
  return BigInt(seq + 1 - realm.entryBurst) <= entries && BigInt(total - realm.byteBurst) <= bytes;
}

/**
 * Whether a granted entry is valid.
 *
 * @param {Realm} realm @param {Grant} grant @param {Pick<Entry, 'seq' | 'time' | 'total'>} entry
 */
export const mayCount = (realm, grant, entry) =>
  (grant.until === null || entry.time <= grant.until) && isWithinLimits(realm, grant, entry);

/** The operations of a counted entry; none if it is void. @param {Entry} entry @param {Grant} grant */
export function countedOps({ ops, partBytes }, { colls }) {
  const sizes = (ops ?? []).reduce((sum, one) => sum + (partOf(one)?.size ?? 0), 0);
  /** @param {Op} one */
  const mayStand = (one) => ('coll' in one ? (colls?.includes(one.coll) ?? true) : ['pin', 'unknown'].includes(one.op));
  return ops && sizes <= partBytes && ops.every(mayStand) ? ops : [];
}

/**
 * One log.
 *
 * @param {Map<string, Entry>} valid its held entries that may count
 * @param {Pin[]} pins those of this log, the ones that decide first
 * @param {number} end the `seq` of the last entry that a cut lets count
 */
function countLog(valid, pins, end) {
  const behind = grouped(valid.values(), (entry) => entry.prev);
  /** @type {Entry[]} */
  let chain = [];
  for (const pin of pins.filter((one) => one.seq <= end)) {
    /** @type {Entry[]} */
    const pinned = [];
    for (let at = valid.get(pin.id); at; at = valid.get(at.prev ?? '')) pinned.push(at);
    pinned.reverse();
    const isWhole = pinned[0]?.seq === 0 && pinned.length === pin.seq + 1;
    if (isWhole && chain.every((entry, seq) => pinned[seq] === entry)) chain = pinned;
  }
  while (chain.length <= end) {
    const next = behind.get(chain.at(-1)?.id ?? null) ?? [];
    if (next.length !== 1) return { chain, forked: next.length > 1 };
    chain.push(next[0]);
  }
  return { chain, forked: false };
}

/** @param {Grant} a @param {Grant} b */
const byStratum = (a, b) => a.stratum - b.stratum || a.order - b.order;

/**
 * All logs of an account, in the order of (stratum, grant, number): so each pin is known before it is needed.
 *
 * @param {Realm} realm
 * @param {Control} control
 * @param {Map<string, Map<string, Entry>>} held entries by the name of their log and their id
 * @param {Checkpoint[]} checkpoints
 * @returns {Map<string, Counted>} by the name of the log
 */
export function countLogs(realm, control, held, checkpoints) {
  const logs = [...held.values()].flatMap((entries) => {
    const [{ writer, log }] = entries.values();
    const grant =
      control.closed || control.dropped.has(logName(writer, log)) ? undefined : grantOf(control, writer, log);
    return grant ? [{ writer, log, grant, entries, pins: /** @type {Pin[]} */ ([]) }] : [];
  });
  const speakers = checkpoints.flatMap(({ writer, pins }) => {
    const isHeard = !control.closed && !control.cuts.has(writer);
    const [grant] = control.grants.filter((one) => isHeard && one.writer === writer).sort(byStratum);
    return grant ? [{ writer, log: 0, grant, entries: null, pins }] : [];
  });
  const ordered = [...logs, ...speakers].sort((a, b) => byStratum(a.grant, b.grant) || a.log - b.log);
  const root = checkpoints.filter((checkpoint) => checkpoint.signer === control.keys[0].current);
  const known = [...control.pins, ...root.flatMap((checkpoint) => checkpoint.pins)].map((pin) => ({
    pin,
    stratum: -1,
  }));
  /** @type {Map<string, Counted>} */
  const counted = new Map();
  for (const { writer, log, grant, entries, pins } of ordered) {
    if (entries) {
      const cut = control.cuts.get(writer);
      const end = cut ? (cut.get(log) ?? -1) : Infinity;
      const valid = new Map([...entries].filter(([, entry]) => mayCount(realm, grant, entry)));
      const deciding = known.filter(({ stratum }) => stratum < grant.stratum).map(({ pin }) => pin);
      const own = deciding.filter((pin) => pin.writer === writer && pin.log === log);
      const result = countLog(valid, own, end);
      counted.set(logName(writer, log), { grant, ...result });
      for (const one of result.chain.flatMap((entry) => countedOps(entry, grant))) if (one.op === 'pin') pins.push(one);
    }
    for (const pin of pins) known.push({ pin, stratum: grant.stratum });
  }
  return counted;
}

/** @param {Head} a @param {Head} b */
function byLog(a, b) {
  if (a.writer === b.writer) return a.log - b.log;
  return a.writer < b.writer ? -1 : 1;
}

const NOBODY = '0'.repeat(64);

/**
 * The checkpoints that a path lets stand: those of writers that it names, and of its root.
 *
 * @param {Control} control @param {Checkpoint[]} checkpoints
 */
export function standing({ grants, keys }, checkpoints) {
  const writers = new Set(grants.map((grant) => grant.writer));
  return checkpoints.filter(({ writer, signer }) => writers.has(writer) || signer === keys[0].current);
}

/**
 * Where the logs of an account stand, in order.
 *
 * @param {string} account
 * @param {Control} control
 * @param {Map<string, Counted>} counted
 * @param {Checkpoint[]} checkpoints those that stand
 * @returns {Head[]}
 */
export function frontier(account, { path, frozen }, counted, checkpoints) {
  const spoken = checkpoints.map(({ writer, n, id }) => ({ account, writer, log: 0, length: n, id, flag: false }));
  const logs = [...counted].map(([name, { chain, forked }]) => {
    const [writer, log] = name.split('/');
    return { account, writer, log: Number(log), length: chain.length, id: chain.at(-1)?.id ?? null, flag: forked };
  });
  return [
    { account, writer: NOBODY, log: 0, length: path.length, id: path[path.length - 1].id, flag: frozen },
    ...[...spoken, ...logs.filter((head) => head.length || head.flag)].sort(byLog),
  ];
}

/** @param {Head} head */
export const headBytes = ({ account, writer, log, length, id, flag }) =>
  concat(
    unhex(account),
    unhex(writer),
    bigEndian(log, 4),
    bigEndian(length, 8),
    unhex(id ?? NOBODY),
    Uint8Array.of(Number(flag)),
  );

/** @param {Head[]} heads in the order of (account, writer, log) */
export const frontierDigest = async (heads) =>
  hex(await sha256(joined([utf8('banyan/1/frontier\0'), ...heads.map(headBytes)])));
