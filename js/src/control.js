/**
 * The control log (section 6): which of its entries count, and who may therefore write.
 *
 * Log 0 is a tree. One path of it counts: at each fork the strongest key decides, judged by what the vertex had
 * committed to; then witnesses do; then nobody, and the account is frozen there.
 *
 * @import { Op } from './ops.js'
 * @import { Checkpoint, ControlEntry } from './signed.js'
 *
 * @typedef {{ current: string, next: string }} Slot digests of a key and of the one after it
 * @typedef {{ entry: ControlEntry, parent: Vertex | null, keys: Slot[], children: Vertex[] }} Vertex keys: after it
 * @typedef {Extract<Op, { op: 'grant' }> & { order: number, grantedMs: number }} Grant
 * @typedef {{ writer: string, log: number, seq: number, id: string }} Pin
 *
 * @typedef {object} Control what the path says
 * @property {ControlEntry[]} path
 * @property {boolean} frozen
 * @property {Slot[]} keys at the end of the path
 * @property {Grant[]} grants
 * @property {Map<string, Map<number, number>>} cuts by writer: the last `seq` that counts of each log that is kept
 * @property {Set<string>} dropped names of logs
 * @property {Pin[]} pins
 * @property {boolean} closed
 * @property {string | null} host the platform that hosts the account
 */
import { grouped } from './bytes.js';
import { ancestor, logName, skipOf } from './entry.js';
import { MAX_PART_BYTES } from './ops.js';

const REVOKING = new Set(['cut', 'rotate', 'recover', 'drop', 'close']);
const CONTROL = new Set(['grant', 'host', ...REVOKING]);

/** Whether an entry may stand in a control log. @param {ControlEntry} entry */
function isControl({ seq, ops, total }) {
  const names = (ops ?? []).map((one) => one.op);
  if (seq === 0) return names[0] === 'init' && names.slice(1).every((name) => name === 'grant');
  const revokes = names.length === 1 && REVOKING.has(names[0]);
  const roomy = revokes ? total <= 768 * 1024 : seq <= 2_047 && total <= 512 * 1024;
  const isOne = names.length === 1 && CONTROL.has(names[0]);
  return roomy && (isOne || (names.length > 0 && names.every((name) => name === 'pin')));
}

/**
 * Whether an entry stands behind its parent, which has the id that it names.
 *
 * @param {ControlEntry} entry @param {ControlEntry | null} parent @param {string | null} skip the id to which it must skip
 */
function isLinked(entry, parent, skip) {
  const declared = entry.total - (parent?.total ?? 0) - entry.body.length;
  const follows = !parent || (entry.seq === parent.seq + 1 && entry.time > parent.time);
  return follows && declared >= 0 && declared <= MAX_PART_BYTES && entry.skip === skip;
}

/**
 * The keys after an entry, or null if its signer was not authorised.
 *
 * @param {Slot[]} keys before it @param {ControlEntry} entry @returns {Slot[] | null}
 */
function keysAfter(keys, { ops, signer }) {
  const [first] = /** @type {Op[]} */ (ops);
  if (first.op === 'init') return first.slots[0].current === signer ? first.slots : null;
  if (first.op === 'rotate') {
    if (keys[first.slot]?.next !== signer) return null;
    return keys.with(first.slot, { current: signer, next: first.next });
  }
  if (first.op === 'recover') {
    const isRecoveryKey = keys.slice(1).some((slot) => slot.current === signer);
    return isRecoveryKey ? keys.with(0, { current: first.root, next: first.next }) : null;
  }
  return keys[0].current === signer ? keys : null;
}

/**
 * The tree of authorised entries.
 *
 * @param {ControlEntry} inception
 * @param {ControlEntry[]} entries
 * @returns {Map<string, Vertex>} by id; empty if the inception is not authorised
 */
function grow(inception, entries) {
  const held = new Map([inception, ...entries].map((entry) => [entry.id, entry]));
  const behind = grouped(held.values(), (entry) => entry.prev);
  /** @type {Map<string, Vertex>} */
  const tree = new Map();
  /** @param {ControlEntry} entry @param {Vertex | null} parent */
  const add = (entry, parent) => {
    const to = skipOf(entry.seq);
    const skip = to === null ? null : (ancestor((id) => held.get(id), parent?.entry, to)?.id ?? null);
    if (!isControl(entry) || !isLinked(entry, parent?.entry ?? null, skip)) return null;
    const keys = keysAfter(parent?.keys ?? [], entry);
    if (keys === null) return null;
    const vertex = { entry, parent, keys, children: /** @type {Vertex[]} */ ([]) };
    parent?.children.push(vertex);
    tree.set(entry.id, vertex);
    return vertex;
  };
  const waiting = [add(inception, null)];
  for (let vertex = waiting.pop(); vertex; vertex = waiting.pop()) {
    for (const entry of behind.get(vertex.entry.id) ?? []) {
      const child = add(entry, vertex);
      if (child) waiting.push(child);
    }
  }
  return tree;
}

/**
 * How strong a signer is where `keys` stood: a higher slot is stronger, and of a slot the next key. -1: unknown there.
 *
 * @param {Slot[]} keys @param {string} signer
 */
function rank(keys, signer) {
  const slot = keys.findLastIndex(({ current, next }) => next === signer || current === signer);
  return slot < 0 ? -1 : 2 * slot + Number(keys[slot].next === signer);
}

/** The highest rank among a child's signer and those of all behind it. @param {Slot[]} keys @param {Vertex} child */
function weight(keys, child) {
  let [best, waiting] = [-1, [child]];
  for (let vertex = waiting.pop(); vertex; vertex = waiting.pop()) {
    best = Math.max(best, rank(keys, vertex.entry.signer));
    waiting.push(...vertex.children);
  }
  return best;
}

/** @param {Vertex} vertex @returns {Vertex[]} the children that weigh most */
function heaviest({ keys, children }) {
  if (children.length < 2) return children;
  const weights = children.map((child) => weight(keys, child));
  return children.filter((_, i) => weights[i] === Math.max(...weights));
}

/**
 * The children of `at` for which witnesses vouch.
 *
 * @param {Map<string, Vertex>} tree
 * @param {Vertex} at
 * @param {Vertex[]} tied
 * @param {Checkpoint[]} statements of witnesses
 */
function vouched(tree, at, tied, statements) {
  const named = statements.map(({ control }) => {
    let vertex = tree.get(control.id) ?? null;
    if (vertex?.entry.seq !== control.seq) return null;
    while (vertex && vertex.parent !== at) vertex = vertex.parent;
    return vertex;
  });
  return tied.filter((child) => named.includes(child));
}

/** What a path says. @param {ControlEntry[]} path @param {Slot[]} keys @param {boolean} frozen @returns {Control} */
function said(path, keys, frozen) {
  /** @type {Control} */
  const control = {
    path,
    frozen,
    keys,
    grants: [],
    cuts: new Map(),
    dropped: new Set(),
    pins: [],
    closed: false,
    host: null,
  };
  const { grants, cuts, dropped, pins } = control;
  for (const { time, ops } of path) {
    for (const one of ops ?? []) {
      if (one.op === 'drop') dropped.add(logName(one.writer, one.log));
      if (one.op === 'close') control.closed = true;
      if (one.op === 'host') control.host = one.platform;
      if (!('writer' in one) || cuts.has(one.writer)) continue;
      if (one.op === 'grant') grants.push({ ...one, order: grants.length, grantedMs: Number(time >> 16n) });
      if (one.op === 'pin' && grantOf(control, one.writer, one.log)) pins.push(one);
      if (one.op === 'cut' && grants.some(({ writer }) => writer === one.writer)) {
        cuts.set(one.writer, new Map(one.kept.map((kept) => [kept.log, kept.seq])));
        pins.push(...one.kept.map((kept) => ({ writer: one.writer, ...kept })));
      }
    }
  }
  return control;
}

/** The first grant that covers a log. @param {Control} control @param {string} writer @param {number} log */
export const grantOf = ({ grants }, writer, log) =>
  grants.find((grant) => grant.writer === writer && grant.first <= log && log < grant.first + grant.logs);

/**
 * @param {ControlEntry} inception
 * @param {ControlEntry[]} entries all others that are held, in any order
 * @param {Checkpoint[]} checkpoints the newest of each writer
 * @returns {Control | null} null: the inception is not signed by the key that it names, so there is no such account
 */
export function resolveControl(inception, entries, checkpoints) {
  const tree = grow(inception, entries);
  let at = tree.get(inception.id);
  if (!at) return null;
  const path = [at.entry];
  for (;;) {
    let next = heaviest(at);
    if (next.length > 1) {
      const { grants, cuts } = said(path, at.keys, false);
      const witnesses = new Set(grants.map((grant) => grant.writer).filter((writer) => !cuts.has(writer)));
      next = vouched(
        tree,
        at,
        next,
        checkpoints.filter(({ writer }) => witnesses.has(writer)),
      );
      if (next.length !== 1) return said(path, at.keys, true);
    }
    if (!next.length) return said(path, at.keys, false);
    at = next[0];
    path.push(at.entry);
  }
}
