/**
 * Hashes and signatures, by WebCrypto. `verify` is as strict as libsodium, whatever the platform alone lets through.
 *
 * @import { Bytes } from './bytes.js'
 * @import { Value } from './cbor.js'
 *
 * @typedef {object} Realm one network, and the limits of a log in it
 * @property {string} id
 * @property {number} birthMs
 * @property {number} entryBurst
 * @property {number} entriesPerDay
 * @property {number} byteBurst
 * @property {number} bytesPerDay
 *
 * @typedef {object} Signer a key that signs; where it is kept is the caller's affair
 * @property {string} key the public key
 * @property {(message: Bytes) => Promise<Bytes>} sign
 */
import { bigEndian, concat, hex, unhex, utf8 } from './bytes.js';
import { encode } from './cbor.js';

const QUOTA = { entryBurst: 10_000, entriesPerDay: 2_000, byteBurst: 67_108_864, bytesPerDay: 33_554_432 };
const LIMITS = { birthMs: 1_767_225_600_000, ...QUOTA };
/** @type {Realm} */
export const MAIN = { id: '247a6b0a416bf078b2834ef33be6c6a3786e2e62942fc0bc20af61dbb455fa05', ...LIMITS };
/** @type {Realm} */
export const TEST = { id: '70f9b9f568d01b5b4fa1071fa277d4a5ad6391753b8a3c5151b7c1196daf0067', ...LIMITS };

/** @param {Bytes} bytes */
export const sha256 = async (bytes) => new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));

/** H of the protocol. @param {string} tag @param {Bytes[]} parts */
export const hash = async (tag, ...parts) => hex(await sha256(concat(utf8(`banyan/1/${tag}\0`), ...parts)));

/** A cell's key, or an element. @param {Bytes} salt the account's @param {Value[]} parts @returns {Promise<string>} */
export async function cellKey(salt, ...parts) {
  const key = await crypto.subtle.importKey('raw', salt, { name: 'HMAC', hash: 'SHA-256' }, false, ['sign']);
  const mac = await crypto.subtle.sign('HMAC', key, concat(utf8('banyan/1/cell\0'), encode(parts)));
  return hex(new Uint8Array(mac, 0, 16));
}

const CHUNK = 262_144;

/** @param {Bytes} file @returns {Promise<string>} the root by which posts name these bytes */
export async function blobRoot(file) {
  const starts = Array.from({ length: Math.ceil(file.length / CHUNK) }, (_, i) => i * CHUNK);
  const hashes = await Promise.all(starts.map((start) => sha256(file.slice(start, start + CHUNK))));
  return hash('blob', bigEndian(file.length, 8), ...hashes);
}

const P = 2n ** 255n - 19n;
const GROUP_ORDER = 2n ** 252n + 27742317777372353535851937790883648493n;
const ORDER_8 = 0x05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826n;
const SMALL_ORDER = [0n, 1n, P - 1n, ORDER_8, P - ORDER_8];

/** @param {Bytes} bytes */
const littleEndian = (bytes) => BigInt(`0x${hex(bytes.slice().reverse())}`);

/** Whether the y of a point is canonical and not of small order. @param {Bytes} point */
function isProper(point) {
  const y = BigInt.asUintN(255, littleEndian(point));
  return y < P && !SMALL_ORDER.includes(y);
}

/** @param {Realm} realm @param {string} id of an entry or a checkpoint */
const signed = (realm, id) => concat(utf8('banyan/1/sig\0'), unhex(realm.id), unhex(id));

/** @param {Realm} realm @param {string} writer @param {string} id @param {Bytes} sig @returns {Promise<boolean>} */
export async function verify(realm, writer, id, sig) {
  const key = unhex(writer);
  if (key.length !== 32 || sig.length !== 64 || littleEndian(sig.slice(32)) >= GROUP_ORDER) return false;
  if (!isProper(key) || !isProper(sig.slice(0, 32))) return false;
  const imported = await crypto.subtle.importKey('raw', key, 'Ed25519', false, ['verify']).catch(() => null);
  return imported !== null && crypto.subtle.verify('Ed25519', imported, sig, signed(realm, id));
}

/** @param {Realm} realm @param {Signer} signer @param {string} id */
export const sign = (realm, signer, id) => signer.sign(signed(realm, id));

/** What a key slot commits to. @param {string} key */
export const keyDigest = (key) => hash('key', unhex(key));
