/**
 * Reads and checks the signed log of one account at a time, off the page's own thread. A log that is not whole proves
 * nothing here: what was refused in it may be what takes a post back.
 *
 * @import { Account } from '../src/account.js'
 * @import { Post, Placed } from '../src/social.js'
 *
 * @typedef {object} Evidence how a post is signed
 * @property {string} account
 * @property {string} writer
 * @property {number} log
 * @property {number} seq
 * @property {string} entry
 * @property {string | null} prev
 * @property {number} timeMs
 * @property {string} opsHash
 * @property {string} header
 * @property {string} sig
 * @property {number} signedSeq of the entry under the signature: this one, or a later one of its run
 * @property {string} signedEntry
 *
 * @typedef {Post & Placed & { evidence: Evidence | null }} Signed
 * @typedef {{ id: number, name: string, profile: Record<string, string>, missing: boolean, posts: Record<string, Signed> }} Checked
 * @typedef {{ id: number, why: 'realm' | 'fetch' | 'damaged' | 'frozen' | 'browser' | 'insecure' | 'large' }} Failed
 */
import { readArchive } from '../src/archive.js';
import { accountOf, hex } from '../src/bytes.js';
import { MAIN, TEST, blobRoot } from '../src/crypto.js';
import { ancestor, logName } from '../src/entry.js';
import { read } from '../src/social.js';

const REALMS = new Map([
  ['main', MAIN],
  ['test', TEST],
]);
const MOST = 16 * 2 ** 20;

class Unproven extends Error {
  /** @param {Failed['why']} why */
  constructor(why) {
    super(why);
    this.why = why;
  }
}

/** @param {Account} account @param {string} id of an entry @returns {Evidence | null} */
function evidenceOf(account, id) {
  for (const held of account.logs.values()) {
    const entry = held.get(id);
    if (!entry) continue;
    const ends = [...account.runs.keys()].map((last) => held.get(last)).filter((last) => last !== undefined);
    const over = ends.filter((last) => last.seq >= entry.seq && ancestor((name) => held.get(name), last, entry.seq)?.id === id);
    const [signed] = over.sort((a, b) => a.seq - b.seq);
    if (!signed) return null;
    // The signature is the last field of a run, 64 bytes.
    const sig = hex(/** @type {Uint8Array<ArrayBuffer>} */ (account.runs.get(signed.id)).slice(-64));
    const { writer, log, seq, prev, time, opsHash, header } = entry;
    const timeMs = Number(time >> 16n);
    const name = logName(writer, log).split('/')[0];
    return {
      ...{ account: account.id, writer: name, log, seq, entry: id, prev, timeMs, opsHash, header: hex(header), sig },
      ...{ signedSeq: signed.seq, signedEntry: signed.id },
    };
  }
  return null;
}

/** @param {string} did @returns {Promise<Uint8Array<ArrayBuffer>>} */
async function fetched(did) {
  const answer = await fetch(`/archives/${did}`).catch(() => null);
  if (!answer?.ok) throw new Unproven(answer?.status === 413 ? 'large' : 'fetch');
  if (Number(answer.headers.get('content-length') ?? 0) > MOST) throw new Unproven('large');
  return new Uint8Array(await answer.arrayBuffer());
}

/** @param {string} realm @param {string} did @param {string[]} wanted URIs @returns {Promise<Omit<Checked, 'id'>>} */
async function check(realm, did, wanted) {
  const known = REALMS.get(realm);
  if (!known) throw new Unproven('realm');
  const { accounts, isWhole } = await readArchive(known, await fetched(did));
  const account = accounts.get(accountOf(did));
  if (!account || !isWhole) throw new Unproven('damaged');
  const person = read(account);
  if (person.frozen) throw new Unproven('frozen');
  const shown = person.posts.filter((post) => wanted.includes(post.uri));
  const posts = shown.map((post) => [post.uri, { ...post, evidence: evidenceOf(account, post.entry) }]);
  const { profile, missing } = person;
  return { name: profile.name ?? '', profile, missing: missing > 0, posts: Object.fromEntries(posts) };
}

/** The root of the bytes at an address, which the browser has just shown and kept. @param {string} path */
async function rootAt(path) {
  const answer = await fetch(path, { cache: 'force-cache' });
  return blobRoot(new Uint8Array(await answer.arrayBuffer()));
}

addEventListener('message', async ({ data: { id, realm, did, wanted, blob } }) => {
  try {
    if (blob) return postMessage({ id, root: await rootAt(blob).catch(() => null) });
    if (!globalThis.crypto?.subtle) throw new Unproven('insecure');
    await crypto.subtle.importKey('raw', new Uint8Array(32).fill(1), 'Ed25519', false, ['verify']).catch((error) => {
      if (error?.name === 'NotSupportedError') throw new Unproven('browser');
    });
    postMessage({ id, ...(await check(realm, did, wanted)) });
  } catch (error) {
    postMessage({ id, why: error instanceof Unproven ? error.why : 'damaged' });
  }
});
