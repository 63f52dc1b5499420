/**
 * Writing: new accounts, and entries of a log that a key of this client has a grant for. What is written goes through
 * the same checks as what comes from outside, so nothing is added that others refuse.
 *
 * @import { Bytes } from './bytes.js'
 * @import { Slot } from './control.js'
 * @import { Realm, Signer } from './crypto.js'
 * @import { Op, Writing } from './ops.js'
 * @import { Of } from './shape.js'
 *
 * @typedef {{ op: Writing, content: Bytes } | { op: Op, content: null }} Draft an operation, and content for its part
 * @typedef {Partial<Of<(typeof SHAPES)['post']>> & { text: string }} NewPost what is not given is not said
 */
import { Account } from './account.js';
import { accountOf, bigEndian, hex, unhex, utf8 } from './bytes.js';
import { cellName } from './cells.js';
import { grantOf } from './control.js';
import { cellKey, keyDigest, sign } from './crypto.js';
import { ancestor, logName, makeEntry, skipOf } from './entry.js';
import { countedOps, mayCount } from './logs.js';
import { makePart, writeBody } from './ops.js';
import { writeRun } from './signed.js';
import { COLLECTIONS, SHAPES, addressParts, writeContent } from './social.js';

const DEVICE_STRATUM = 8;
const LOGS = 65_535;

/** @param {number} size in bytes */
const random = (size) => crypto.getRandomValues(new Uint8Array(size));

/**
 * Opens an account: an inception that grants one writer every collection.
 *
 * @param {Realm} realm
 * @param {{ root: Signer, next: string, writer: string, recovery?: Slot[] }} keys `next` and `recovery` are digests.
 *     Keep the keys behind them elsewhere than the root key: only they undo its theft
 * @param {number} [nowMs]
 * @returns {Promise<Account>}
 */
export async function createAccount(realm, { root, next, writer, recovery = [] }, nowMs = Date.now()) {
  const salt = await makePart(random(32), hex(random(16)));
  const slots = [{ current: await keyDigest(root.key), next }, ...recovery];
  const body = writeBody([
    { op: 'init', slots, salt: salt.name },
    { op: 'grant', writer, first: 1, logs: LOGS, stratum: DEVICE_STRATUM, colls: null, until: null, x25519: null },
  ]);
  const [time, total] = [BigInt(nowMs) << 16n, body.length + salt.raw.length];
  const place = { account: '', writer: root.key, log: 0, seq: 0, prev: null, skip: null, time, total };
  const entry = await makeEntry(realm, place, body, salt.raw.length);
  const account = new Account(realm, entry.id);
  await account.addControl({ header: entry.header, sig: await sign(realm, root, entry.id), ops: body }, nowMs);
  await account.addPart({ entry: entry.id, op: 0 }, salt.raw);
  return account;
}

/**
 * A number of a log of which nothing is held. A client that starts anew, or that may have been copied, takes one: to
 * continue a log at an old place would fork it.
 *
 * @param {Account} account @param {string} writer @returns {number}
 */
export function freshLog(account, writer) {
  const { control } = account.state();
  const grant = control.grants.find((one) => one.writer === writer);
  if (!grant || control.cuts.has(writer)) throw new Error(`${writer} may not write here: ask the owner for a grant`);
  for (;;) {
    const log = grant.first + (new DataView(random(4).buffer).getUint32(0) % grant.logs);
    if (!account.logs.has(logName(writer, log))) return log;
  }
}

/** The entry that is being written of each account: the next one waits for it, or the two would fork their log. */
const turns = /** @type {WeakMap<Account, Promise<unknown>>} */ (new WeakMap());

/**
 * Writes drafts as one entry of a log, and adds it to the account.
 *
 * @param {Account} account @param {Signer} signer @param {number} log @param {Draft[]} drafts @param {number} [nowMs]
 * @returns {Promise<string>} the id of the entry
 */
export function append(account, signer, log, drafts, nowMs = Date.now()) {
  const before = turns.get(account) ?? Promise.resolve();
  const written = before.then(() => writeEntry(account, signer, log, drafts, nowMs));
  turns.set(
    account,
    written.catch(() => {}),
  );
  return written;
}

/** @param {Account} account @param {Signer} signer @param {number} log @param {Draft[]} drafts @param {number} nowMs */
async function writeEntry(account, signer, log, drafts, nowMs) {
  const { realm, id } = account;
  const name = logName(signer.key, log);
  const { control, logs } = account.state();
  const grant = grantOf(control, signer.key, log);
  const last = logs.get(name)?.chain.at(-1);
  const held = account.logs.get(name) ?? new Map();
  const isHeard = grant && !control.closed && !control.cuts.has(signer.key);
  if (!isHeard) throw new Error(`${signer.key} may not write log ${log} of this account`);
  const seq = last ? last.seq + 1 : 0;
  if (held.size !== seq) throw new Error(`log ${log} has entries that do not count: take a fresh one`);
  const parts = await Promise.all(drafts.map(({ content }) => content && makePart(content, hex(random(16)))));
  const ops = drafts.map(({ op }, i) => (parts[i] ? /** @type {Op} */ ({ ...op, part: parts[i].name }) : op));
  const body = writeBody(ops);
  const partBytes = parts.reduce((sum, part) => sum + (part?.raw.length ?? 0), 0);
  const to = skipOf(seq);
  const idAt = (/** @type {number} */ place) => ancestor((one) => held.get(one), last, place)?.id ?? '';
  const clock = BigInt(nowMs) << 16n;
  const time = last && last.time >= clock ? last.time + 1n : clock;
  const total = (last?.total ?? 0) + body.length + partBytes;
  const links = { prev: last?.id ?? null, skip: to === null ? null : idAt(to) };
  const place = { account: id, writer: signer.key, log, seq, ...links, time, total };
  const entry = await makeEntry(realm, place, body, partBytes);
  const counts = mayCount(realm, grant, entry) && countedOps(entry, grant).length > 0;
  if (!counts) throw new Error('the grant of this writer does not allow this entry');
  await account.addRun(writeRun([entry], await sign(realm, signer, entry.id), idAt), nowMs);
  for (const [op, part] of parts.entries()) if (part) await account.addPart({ entry: entry.id, op }, part.raw);
  return entry.id;
}

/** @param {Account} account @returns {Bytes} */
function saltOf({ salt }) {
  if (!salt) throw new Error('the content of the inception is not held: without the salt in it no cell can be named');
  return salt;
}

/**
 * A write of a register, in place of what it shows.
 *
 * @param {Account} account @param {{ coll: string, key: string }} cell @param {Bytes} content @returns {Draft}
 */
function put(account, cell, content) {
  const live = account.state().cells.registers.get(cellName(cell)) ?? [];
  return { op: { op: 'put', ...cell, refs: live.map(({ entry, op }) => ({ entry, op })), part: null }, content };
}

/**
 * A new post. Its key rises with the time, as Banyan's do.
 *
 * @param {Account} account @param {NewPost} post @param {number} [nowMs]
 */
export async function draftPost(account, post, nowMs = Date.now()) {
  const nonce = await cellKey(saltOf(account), utf8('post'), random(16));
  const key = hex(bigEndian(nowMs, 6)) + nonce.slice(0, 20);
  return draftEdit(account, key, { ...post, created_ms: post.created_ms ?? nowMs });
}

/**
 * An edit: the whole post as it is now, such as `{ ...shown, text }`.
 *
 * @param {Account} account @param {string} key @param {NewPost} post
 */
export function draftEdit(account, key, post) {
  const said = { reply: null, quote: null, lang: null, created_ms: null, ...post };
  return put(account, { coll: COLLECTIONS.post, key }, writeContent(SHAPES.post, said));
}

/** Ends a post for good. @param {string} key @returns {Draft} */
export const draftDelete = (key) => ({ op: { op: 'tomb', coll: COLLECTIONS.post, key }, content: null });

/** @param {Account} account @param {string} field @param {string} value @param {any} [media] of a picture */
export async function draftProfile(account, field, value, media = null) {
  const key = await cellKey(saltOf(account), utf8('profile'), utf8(field.normalize('NFC')));
  return put(account, { coll: COLLECTIONS.profile, key }, writeContent(SHAPES.profile, { field, value, media }));
}

/**
 * An element of a set.
 *
 * @param {Account} account
 * @param {'reaction' | 'repost' | 'follow' | 'block'} name
 * @param {Bytes[]} key
 * @param {Bytes[]} elem
 * @param {Bytes} content
 * @returns {Promise<Draft>}
 */
async function add(account, name, key, elem, content) {
  const [cell, element] = [key, elem].map((parts) => cellKey(saltOf(account), utf8(name), ...parts));
  return { op: { op: 'add', coll: COLLECTIONS[name], key: await cell, elem: await element, part: null }, content };
}

/** @param {string} uri @returns {[{ account: string, key: string }, Bytes[]]} */
function named(uri) {
  const post = addressParts(uri);
  return [post, [unhex(accountOf(post.account)), unhex(post.key)]];
}

/** @param {Account} account @param {string} uri @param {string} emoji */
export function draftReaction(account, uri, emoji) {
  const [post, names] = named(uri);
  const content = writeContent(SHAPES.reaction, { ...post, emoji });
  return add(account, 'reaction', names, [utf8(emoji.normalize('NFC'))], content);
}

/** @param {Account} account @param {string} uri */
export function draftRepost(account, uri) {
  const [post, names] = named(uri);
  return add(account, 'repost', [], names, writeContent(SHAPES.repost, post));
}

/** @param {Account} account @param {string} target @param {'follow' | 'block'} [name] */
export const draftFollow = (account, target, name = 'follow') =>
  add(account, name, [], [unhex(accountOf(target))], writeContent(SHAPES[name], { account: target }));

/**
 * Takes back a reaction, a repost, a follow or a block: what a draft would say.
 *
 * @param {Account} account @param {Draft} draft @returns {Draft}
 */
export function undo(account, { op }) {
  if (op.op !== 'add') throw new Error(`only elements of sets are taken back, not a ${op.op}`);
  const live = account.state().cells.sets.get(cellName(op))?.get(op.elem) ?? [];
  const refs = live.map(({ entry, op: at }) => ({ entry, op: at }));
  return { op: { op: 'del', coll: op.coll, refs }, content: null };
}
