/**
 * The firehose as signed entries (section 12): what a node tells of everybody, as it comes, each entry checked. What this
 * reader gives out was signed by a key that the account's control log lets write. Like a proof of one post, that does
 * not say that nothing was kept back.
 *
 * @import { Bytes } from './bytes.js'
 * @import { Realm } from './crypto.js'
 * @import { Entry } from './entry.js'
 * @import { Control } from './control.js'
 *
 * @typedef {object} ToldEntry
 * @property {string} account
 * @property {Entry} entry
 * @property {Map<number, Bytes>} contents of its operations, as far as they came
 *
 * @typedef {object} ToldAct
 * @property {string} account
 * @property {number} number dense
 * @property {string} name its kind, as docs/firehose.md has them
 * @property {Bytes} about nothing: the account as a whole; the key of a post; of content that came late the entry and, in two bytes, the operation
 * @property {number} timeMs
 * @property {string[]} said
 *
 * @typedef {object} Told everything since the last one
 * @property {string} cursor where to go on
 * @property {ToldEntry[]} entries
 * @property {string[]} unproved ids of entries whose signatures the node does not have
 * @property {ToldAct[]} acts what the node says that it did itself: its word alone
 * @property {string | null} frontier up to here, for any node; null where it did not come
 * @property {{ why: string, message: string } | null} end why the stream ends; null while it goes on
 */
import { Account } from './account.js';
import { Rejected, concat } from './bytes.js';
import { decode } from './cbor.js';
import { resolveControl } from './control.js';
import { openPart, partOf, u16 } from './ops.js';
import { demandRight } from './proof.js';
import { bytes, id, list, record, string, uint, where } from './shape.js';
import { CONTROL, readRun } from './signed.js';

const MAX_BODY = 4_194_304;
const MAGIC = 'banyan firehose 1';
const [account, raw, text] = [id(32), bytes(Infinity), string(Infinity)];
const magic = where(text, (name) => name === MAGIC, MAGIC);
const parts = list(record({ entry: id(32), op: u16, raw }, {}));
/** @param {number} code */
const kind = (code) => uint(code, code);

/** By kind; readers skip those that they do not know, and what is behind these fields. */
const FRAMES = {
  control: record({ code: kind(1), account, entries: list(CONTROL) }, {}),
  run: record({ code: kind(2), account, raw }, {}),
  parts: record({ code: kind(3), account, parts }, {}),
  checkpoint: record({ code: kind(6), account, raw }, {}),
  begin: record({ code: kind(16), magic, realm: id(32), cursor: text, timeMs: uint() }, {}),
  place: record({ code: kind(17), cursor: text, timeMs: uint() }, {}),
  end: record({ code: kind(18), cursor: text, why: text, message: text }, {}),
  frontier: record({ code: kind(19), cursor: text, frontier: text }, {}),
  unproved: record({ code: kind(20), account, entry: id(32), cursor: text }, {}),
  act: record({ code: kind(21), account, cursor: text, number: uint(), name: text, about: raw, timeMs: uint(), said: list(text) }, {}),
};
const KINDS = { 1: 'control', 2: 'run', 3: 'parts', 6: 'checkpoint', 16: 'begin', 17: 'place', 18: 'end', 19: 'frontier', 20: 'unproved', 21: 'act' };

export class FirehoseReader {
  /** @param {Realm} realm */
  constructor(realm) {
    this.realm = realm;
    /** @type {Map<string, Account>} their control logs and checkpoints, and nothing else */
    this.accounts = new Map();
    /** @type {Map<string, Control>} */
    this.resolved = new Map();
    /** @type {Map<string, ToldEntry>} by the id of the entry: told, and no place behind it yet */
    this.waiting = new Map();
    /** @type {string[]} */
    this.unproved = [];
    /** @type {ToldAct[]} */
    this.acts = [];
  }

  /**
   * What comes, place by place. Throws Rejected for what no honest node sends, and for a stream that breaks off.
   *
   * @param {AsyncIterable<Bytes> | Iterable<Bytes>} pieces of any size, such as the body of an answer
   * @returns {AsyncGenerator<Told>}
   */
  async *read(pieces) {
    /** @type {Bytes} */
    let rest = new Uint8Array(0);
    for await (const piece of pieces) {
      rest = concat(rest, piece);
      let at = 0;
      while (rest.length - at >= 4) {
        const size = new DataView(rest.buffer, rest.byteOffset + at).getUint32(0);
        if (size > MAX_BODY) throw new Rejected(`a frame of ${size} bytes`);
        if (rest.length - at - 4 < size) break;
        const told = await this.take(rest.slice(at + 4, at + 4 + size));
        if (told) yield told;
        at += 4 + size;
      }
      rest = rest.slice(at);
    }
    if (rest.length) throw new Rejected('the stream breaks off in the middle of a frame');
  }

  /** @param {Bytes} body of one frame @returns {Promise<Told | null>} */
  async take(body) {
    const value = decode(body, undefined, Math.floor(body.length / 8) + 64);
    if (!Array.isArray(value) || !['number', 'bigint'].includes(typeof value[0]))
      throw new Rejected('a frame is an array that begins with its kind');
    const name = /** @type {Record<number, keyof typeof FRAMES>} */ (KINDS)[Number(value[0])];
    if (name === 'begin' && FRAMES.begin.read(value).realm !== this.realm.id) throw new Rejected('another realm');
    if (name === 'control') await this.#addControl(FRAMES.control.read(value));
    if (name === 'checkpoint') await this.#addCheckpoint(FRAMES.checkpoint.read(value));
    if (name === 'run') await this.#addRun(FRAMES.run.read(value));
    if (name === 'parts') await this.#addParts(FRAMES.parts.read(value).parts);
    if (name === 'unproved') this.unproved.push(FRAMES.unproved.read(value).entry);
    if (name === 'act') {
      const { account: of, number, name: what, about, timeMs, said } = FRAMES.act.read(value);
      this.acts.push({ account: of, number, name: what, about, timeMs, said });
    }
    if (name === 'place') return this.#told(FRAMES.place.read(value).cursor, null, null);
    if (name === 'frontier') {
      const { cursor, frontier } = FRAMES.frontier.read(value);
      return this.#told(cursor, frontier, null);
    }
    if (name === 'end') {
      const { cursor, why, message } = FRAMES.end.read(value);
      return this.#told(cursor, null, { why, message });
    }
    return null;
  }

  /** @param {string} cursor @param {string | null} frontier @param {Told['end']} end @returns {Told} */
  #told(cursor, frontier, end) {
    const told = { cursor, entries: [...this.waiting.values()], unproved: this.unproved, acts: this.acts, frontier, end };
    this.waiting = new Map();
    this.unproved = [];
    this.acts = [];
    return told;
  }

  /** @param {string} name */
  #account(name) {
    const known = this.accounts.get(name) ?? new Account(this.realm, name);
    this.accounts.set(name, known);
    this.resolved.delete(name);
    return known;
  }

  /** @param {{ account: string, entries: import('./signed.js').SignedControl[] }} frame */
  async #addControl({ account: name, entries }) {
    const known = this.#account(name);
    for (const one of entries) {
      const entry = await known.addControl(one);
      this.waiting.set(entry.id, { account: name, entry, contents: new Map() });
    }
  }

  /** @param {{ account: string, raw: Bytes }} frame */
  async #addCheckpoint({ account: name, raw }) {
    await this.#account(name).addCheckpoint(raw);
  }

  /** @param {{ account: string, raw: Bytes }} frame */
  async #addRun({ account: name, raw }) {
    const { entries } = await readRun(this.realm, raw);
    const control = this.#control(name);
    for (const entry of entries) {
      if (entry.account !== name) throw new Rejected('a run of another account');
      demandRight(this.realm, control, entry);
      this.waiting.set(entry.id, { account: name, entry, contents: new Map() });
    }
  }

  /** @param {string} name @returns {Control} */
  #control(name) {
    const known = this.accounts.get(name);
    const inception = known?.control.get(name);
    if (!known || !inception) throw new Rejected(`the control log of ${name} was not told`);
    const control =
      this.resolved.get(name) ??
      resolveControl(inception, [...known.control.values()], [...known.checkpoints.values()]);
    if (!control) throw new Rejected(`the control log of ${name} is none`);
    this.resolved.set(name, control);
    return control;
  }

  /** @param {{ entry: string, op: number, raw: Bytes }[]} told */
  async #addParts(told) {
    for (const { entry, op, raw } of told) {
      const one = this.waiting.get(entry);
      const what = one?.entry.ops?.[op];
      const part = what ? partOf(what) : null;
      if (!one || !part) throw new Rejected(`content of ${entry}, which was not told`);
      one.contents.set(op, await openPart(part, raw));
    }
  }
}
