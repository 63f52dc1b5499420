/**
 * The 24 words on paper of an account whose keys are in a browser: the recovery words of `banyan account take`. They are
 * English BIP-39 words of 32 bytes; their checksum is inverted, which tells them from the words of a node.
 *
 * @import { Bytes } from '../src/bytes.js'
 */
import { bigEndian, concat, utf8 } from '../src/bytes.js';
import { keyDigest, sha256 } from '../src/crypto.js';
import { keysOfSeed, signerOf } from '../src/keys.js';

const PERSON = 'banyan-keys-v1';
const MASK = 2n ** 64n - 1n;
const IV = [
  0x6a09e667f3bcc908n, 0xbb67ae8584caa73bn, 0x3c6ef372fe94f82bn, 0xa54ff53a5f1d36f1n, 0x510e527fade682d1n,
  0x9b05688c2b3e6c1fn, 0x1f83d9abfb41bd6bn, 0x5be0cd19137e2179n,
];
const SIGMA = [
  [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
  [14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3],
  [11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4],
  [7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8],
  [9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13],
  [2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9],
  [12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11],
  [13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10],
  [6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5],
  [10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0],
];
const MIXED = [
  [0, 4, 8, 12], [1, 5, 9, 13], [2, 6, 10, 14], [3, 7, 11, 15], [0, 5, 10, 15], [1, 6, 11, 12], [2, 7, 8, 13], [3, 4, 9, 14],
];
const BLOCK = 128;

/** @param {bigint} word @param {bigint} by */
const turned = (word, by) => ((word >> by) | (word << (64n - by))) & MASK;

/** BLAKE2b (RFC 7693) of 32 bytes, with a key of 32 bytes. @param {Bytes} key @param {Bytes} said @returns {Bytes} */
export function keyed(key, said) {
  const params = new Uint8Array(64);
  params.set([32, key.length, 1, 1]);
  params.set(utf8(PERSON), 48);
  const wordAt = (/** @type {Bytes} */ bytes, /** @type {number} */ i) =>
    new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(8 * i, true);
  const h = IV.map((word, i) => word ^ wordAt(params, i));
  const padded = new Uint8Array(BLOCK + Math.max(said.length, 0));
  padded.set(key);
  padded.set(said, BLOCK);
  const blocks = Math.ceil(padded.length / BLOCK);
  for (let n = 0; n < blocks; n += 1) {
    const block = new Uint8Array(BLOCK);
    block.set(padded.subarray(n * BLOCK, (n + 1) * BLOCK));
    const v = [...h, ...IV];
    v[12] ^= BigInt(Math.min(padded.length, (n + 1) * BLOCK));
    if (n === blocks - 1) v[14] ^= MASK;
    for (let round = 0; round < 12; round += 1) {
      const order = SIGMA[round % 10];
      for (const [i, [a, b, c, d]] of MIXED.entries()) {
        v[a] = (v[a] + v[b] + wordAt(block, order[2 * i])) & MASK;
        v[d] = turned(v[d] ^ v[a], 32n);
        v[c] = (v[c] + v[d]) & MASK;
        v[b] = turned(v[b] ^ v[c], 24n);
        v[a] = (v[a] + v[b] + wordAt(block, order[2 * i + 1])) & MASK;
        v[d] = turned(v[d] ^ v[a], 16n);
        v[c] = (v[c] + v[d]) & MASK;
        v[b] = turned(v[b] ^ v[c], 63n);
      }
    }
    for (let i = 0; i < 8; i += 1) h[i] ^= v[i] ^ v[i + 8];
  }
  const out = new DataView(new ArrayBuffer(32));
  for (let i = 0; i < 4; i += 1) out.setBigUint64(8 * i, h[i], true);
  return new Uint8Array(out.buffer);
}

/** A key of the paper, for a purpose. @param {Bytes} secret @param {string} purpose @param {number} generation */
function seedOf(secret, purpose, generation) {
  const fields = [utf8(purpose), bigEndian(generation, 8)];
  return keyed(secret, concat(...fields.flatMap((field) => [bigEndian(field.length, 4), field])));
}

/** The digests that an account is opened with. @param {Bytes} secret 32 bytes */
export async function commitments(secret) {
  const digest = async (/** @type {string} */ purpose, /** @type {number} */ generation) =>
    keyDigest((await signerOf(await keysOfSeed(seedOf(secret, purpose, generation)))).key);
  const recovery = { current: await digest('recovery', 0), next: await digest('recovery', 1) };
  return { next: await digest('handed root', 0), recovery };
}

/** 32 bytes as 24 words. @param {Bytes} secret @param {string[]} list the 2,048 words @returns {Promise<string[]>} */
export async function spelled(secret, list) {
  const checksum = (await sha256(secret))[0] ^ 0xff;
  const bits = [...secret, checksum].map((byte) => byte.toString(2).padStart(8, '0')).join('');
  return (bits.match(/.{11}/g) ?? []).map((index) => list[parseInt(index, 2)]);
}
