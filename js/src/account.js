/**
 * One account, as far as this client was given it. What is added is checked, so it does not matter who gave it. What
 * counts of it is a function of all that was added, in whatever order.
 *
 * @import { Bytes } from './bytes.js'
 * @import { Cells } from './cells.js'
 * @import { Control } from './control.js'
 * @import { Realm } from './crypto.js'
 * @import { Entry } from './entry.js'
 * @import { Counted, Head } from './logs.js'
 * @import { Ref } from './ops.js'
 * @import { Checkpoint, ControlEntry, SignedControl } from './signed.js'
 *
 * @typedef {object} State what counts
 * @property {Control} control
 * @property {Map<string, Counted>} logs by `logName`
 * @property {Head[]} heads where the logs stand, in order: the account's frontier
 * @property {Cells} cells
 * @property {string[]} lacking entries that signatures of the account name, and that are not held: they were kept back
 */
import { NotYet, Rejected } from './bytes.js';
import { fold } from './cells.js';
import { resolveControl } from './control.js';
import { ancestor, logName } from './entry.js';
import { countLogs, countedOps, frontier, standing } from './logs.js';
import { openPart, partOf, refName } from './ops.js';
import { readCheckpoint, readControl, readRun } from './signed.js';

const FUTURE_MS = 300_000;

/** @param {{ time: bigint }} entry @param {number} nowMs */
function demandPast({ time }, nowMs) {
  if (Number(time >> 16n) > nowMs + FUTURE_MS) throw new NotYet('future', 'an entry is dated over 5 minutes ahead');
}

export class Account {
  /** @param {Realm} realm @param {string} id */
  constructor(realm, id) {
    this.realm = realm;
    this.id = id;
    /** @type {Map<string, ControlEntry>} */
    this.control = new Map();
    /** @type {Map<string, Map<string, Entry>>} entries by the name of their log and their id */
    this.logs = new Map();
    /** @type {Map<string, Bytes>} as they came, by the id of the entry that is signed */
    this.runs = new Map();
    /** @type {Map<string, Checkpoint & { raw: Bytes }>} the greatest of each writer */
    this.checkpoints = new Map();
    /** @type {Map<string, { ref: Ref, raw: Bytes, content: Bytes }>} by the name of the operation */
    this.parts = new Map();
  }

  /** @param {string} account @param {string} what */
  #demandOwn(account, what) {
    if (account !== this.id) throw new Rejected(`${what} is of the account ${account}, not of ${this.id}`);
  }

  /** @param {SignedControl} signed @param {number} [nowMs] @returns {Promise<ControlEntry>} */
  async addControl(signed, nowMs = Date.now()) {
    const entry = await readControl(this.realm, signed);
    this.#demandOwn(entry.account, `control entry ${entry.seq}`);
    demandPast(entry, nowMs);
    if (entry.seq === 0 && !resolveControl(entry, [], [])) throw new Rejected('an inception that its key did not sign');
    const isJoined = entry.seq === 0 || this.control.has(entry.prev ?? '');
    if (!isJoined) throw new NotYet('gap', `control entry ${entry.seq - 1} is not held`);
    this.control.set(entry.id, entry);
    return entry;
  }

  /** @param {Bytes} raw @param {number} [nowMs] */
  async addRun(raw, nowMs = Date.now()) {
    const { entries, base, skips } = await readRun(this.realm, raw);
    const [first, last] = [entries[0], entries[entries.length - 1]];
    this.#demandOwn(first.account, `a run of log ${first.log}`);
    demandPast(last, nowMs);
    const held = this.logs.get(logName(first.writer, first.log)) ?? new Map();
    if (first.prev !== null) {
      const parent = held.get(first.prev);
      if (!parent) throw new NotYet('gap', `entry ${first.seq - 1} of log ${first.log} is not held`);
      const fits = parent.seq === first.seq - 1 && parent.total === base && parent.time < first.time;
      const leads = skips.every(({ seq, id }) => ancestor((name) => held.get(name), parent, seq)?.id === id);
      if (!fits || !leads) throw new Rejected(`the run at ${first.seq} does not fit log ${first.log} below it`);
    }
    for (const entry of entries) held.set(entry.id, entry);
    this.logs.set(logName(first.writer, first.log), held);
    this.runs.set(last.id, raw);
  }

  /** @param {Bytes} raw */
  async addCheckpoint(raw) {
    const checkpoint = await readCheckpoint(this.realm, raw);
    this.#demandOwn(checkpoint.account, 'a checkpoint');
    const stands = this.checkpoints.get(checkpoint.writer);
    const isGreater = !stands || checkpoint.n > stands.n || (checkpoint.n === stands.n && checkpoint.id > stands.id);
    if (isGreater) this.checkpoints.set(checkpoint.writer, { ...checkpoint, raw });
  }

  /** @param {Ref} ref @param {Bytes} raw the part of that operation */
  async addPart(ref, raw) {
    const entries = [this.control, ...this.logs.values()];
    const entry = entries.map((held) => held.get(ref.entry)).find(Boolean);
    if (!entry) throw new NotYet('gap', `the entry ${ref.entry} is not held`);
    const what = entry.ops?.[ref.op];
    const name = what ? partOf(what) : null;
    if (!name) throw new Rejected(`operation ${ref.op} of the entry ${ref.entry} has no content`);
    this.parts.set(refName(ref), { ref, raw, content: await openPart(name, raw) });
  }

  /** The account's salt, or null while the content of its inception is not held. */
  get salt() {
    return this.parts.get(refName({ entry: this.id, op: 0 }))?.content ?? null;
  }

  /** @returns {State} */
  state() {
    const inception = this.control.get(this.id);
    const all = [...this.checkpoints.values()];
    const control = inception && resolveControl(inception, [...this.control.values()], all);
    if (!control) throw new NotYet('account', `the inception of ${this.id} is not held`);
    const checkpoints = standing(control, all);
    const logs = countLogs(this.realm, control, this.logs, checkpoints);
    const said = [...logs.values()].flatMap(({ grant, chain }) =>
      chain.map((entry) => ({ id: entry.id, time: entry.time, ops: countedOps(entry, grant) })),
    );
    const heads = frontier(this.id, control, logs, checkpoints);
    return { control, logs, heads, cells: fold(said), lacking: this.#lacking(control, checkpoints) };
  }

  /** @param {Control} control @param {Checkpoint[]} checkpoints */
  #lacking({ pins }, checkpoints) {
    const named = [...pins, ...checkpoints.flatMap((one) => [one.control, ...one.pins])].map((one) => one.id);
    const held = [this.control, ...this.logs.values()];
    return named.filter((id) => !held.some((entries) => entries.has(id)));
  }
}
