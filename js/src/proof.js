/**
 * What proves one post (`post.proof` of a node, GET /v1/posts/.../proof of its door): the frames of an archive, with the
 * account's control log, its checkpoints, and the run from the post's entry up to the signature above it. Nothing in it
 * is believed: who gave it does not matter.
 *
 * It proves that a key signed the post, and that this key may write in the account. It does not prove that nothing came
 * after it: an edit, a deletion, or a cut of that key can be kept back.
 *
 * @import { Bytes } from './bytes.js'
 * @import { Realm } from './crypto.js'
 * @import { Frame } from './archive.js'
 * @import { Control, Grant } from './control.js'
 * @import { Entry } from './entry.js'
 * @import { Post } from './social.js'
 *
 * @typedef {{ post: Post, uri: string, entry: string, writer: string, timeMs: number }} Proven `timeMs`: of the entry
 */
import { Account } from './account.js';
import { readFrames } from './archive.js';
import { Rejected, accountOf } from './bytes.js';
import { grantOf } from './control.js';
import { logName } from './entry.js';
import { countedOps, mayCount } from './logs.js';
import { openPart } from './ops.js';
import { readRun } from './signed.js';
import { COLLECTIONS, SHAPES, addressParts, readContent } from './social.js';

/**
 * The post that the frames prove. Throws Rejected if they do not prove it.
 *
 * @param {Realm} realm @param {Bytes} file @param {string} uri @param {number} [nowMs] @returns {Promise<Proven>}
 */
export async function readProof(realm, file, uri, nowMs = Date.now()) {
  const { account: text, key } = addressParts(uri);
  const account = new Account(realm, accountOf(text));
  const { frames, damagedAt } = await readFrames(file);
  if (damagedAt !== null) throw new Rejected(`the proof is damaged at byte ${damagedAt}`);
  for (const frame of frames) {
    if (frame.kind === 'start' && frame.realm !== realm.id) throw new Rejected(`a proof of realm ${frame.realm}`);
    if (frame.kind === 'control') for (const entry of frame.entries) await account.addControl(entry, nowMs);
    if (frame.kind === 'checkpoint') await account.addCheckpoint(frame.raw);
  }
  const { control } = account.state();
  if (control.closed) throw new Rejected('the account is closed');
  const run = await readRun(realm, only(frames, 'run').raw);
  const [ref] = only(frames, 'parts').parts;
  const entry = run.entries.find(({ id }) => id === ref?.entry);
  if (!entry || entry.account !== account.id) throw new Rejected('the content is of no entry of the run');
  const grant = demandRight(realm, control, entry);
  const op = countedOps(entry, grant)[ref.op];
  if (op?.op !== 'put' || op.coll !== COLLECTIONS.post || op.key !== key || !op.part)
    throw new Rejected(`entry ${entry.id} does not write ${uri}`);
  const post = readContent(SHAPES.post, await openPart(op.part, ref.raw));
  if (!post) throw new Rejected('the content is no post');
  return { post, uri, entry: entry.id, writer: entry.writer, timeMs: Number(entry.time >> 16n) };
}

/**
 * The grant by which an entry was written. Throws Rejected if its key may not write it.
 *
 * @param {Realm} realm @param {Control} control @param {Entry} entry @returns {Grant}
 */
export function demandRight(realm, control, entry) {
  const { writer, log, seq } = entry;
  const grant = control.closed ? null : grantOf(control, writer, log);
  if (!grant || !mayCount(realm, grant, entry)) throw new Rejected(`${writer} may not write here`);
  const kept = control.cuts.get(writer);
  const isCut = control.dropped.has(logName(writer, log)) || (kept && seq > (kept.get(log) ?? -1));
  if (isCut) throw new Rejected(`${writer} was cut off before it wrote this`);
  return grant;
}

/**
 * @template {Frame['kind']} K
 * @param {Frame[]} frames @param {K} kind @returns {Extract<Frame, { kind: K }>}
 */
function only(frames, kind) {
  const found = frames.filter((frame) => frame.kind === kind);
  if (found.length !== 1) throw new Rejected(`a proof has one frame '${kind}', not ${found.length}`);
  return /** @type {Extract<Frame, { kind: K }>} */ (found[0]);
}
