/**
 * Bytes, the texts that name them, and the two ways in which input can fail.
 *
 * Ids, keys and digests are strings of lower-case hexadecimal digits everywhere above this file: they compare, sort and
 * serve as keys of a Map as the bytes do.
 *
 * @typedef {Uint8Array<ArrayBuffer>} Bytes
 */

/** Bytes that no honest node sends: wrong shape, hash, link or signature. So it is at every reader, for ever. */
export class Rejected extends Error {}

/** Bytes that may count later, or for somebody who holds more. `reason` is that of docs/protocol.md, section 5. */
export class NotYet extends Error {
  /** @param {'account' | 'gap' | 'future' | 'version'} reason @param {string} message */
  constructor(reason, message) {
    super(message);
    this.reason = reason;
  }
}

const DIGITS = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

/** @param {Uint8Array} bytes */
export const hex = (bytes) => Array.from(bytes, (byte) => DIGITS[byte]).join('');

/** @param {string} text an even number of lower-case hexadecimal digits @returns {Bytes} */
export function unhex(text) {
  if (!/^([0-9a-f]{2})*$/.test(text)) throw new Rejected(`not lower-case hexadecimal: ${text.slice(0, 80)}`);
  return Uint8Array.from({ length: text.length / 2 }, (_, i) => parseInt(text.slice(2 * i, 2 * i + 2), 16));
}

/** @param {string} text @returns {Bytes} */
export const utf8 = (text) => new TextEncoder().encode(text);

/** @param {Uint8Array} bytes */
export function text(bytes) {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new Rejected('these bytes are not UTF-8');
  }
}

/** @param {Uint8Array[]} parts @returns {Bytes} */
export const concat = (...parts) => joined(parts);

/** The same of any number of parts. @param {Uint8Array[]} parts @returns {Bytes} */
export function joined(parts) {
  const whole = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  parts.reduce((at, part) => (whole.set(part, at), at + part.length), 0);
  return whole;
}

/** @param {number | bigint} n @param {number} size the bytes of a big-endian integer @returns {Bytes} */
export const bigEndian = (n, size) => unhex(n.toString(16).padStart(2 * size, '0'));

/** @template K, V @param {Iterable<V>} values @param {(value: V) => K} name @returns {Map<K, V[]>} */
export function grouped(values, name) {
  /** @type {Map<K, V[]>} */
  const groups = new Map();
  for (const value of values) into(groups, name(value), () => []).push(value);
  return groups;
}

/**
 * What a map has under a name, made first if it has nothing.
 *
 * @template K, V @param {Map<K, V>} map @param {K} name @param {() => V} make @returns {V}
 */
export function into(map, name, make) {
  const found = map.get(name) ?? make();
  map.set(name, found);
  return found;
}

const BASE58 = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz';
const DID = 'did:banyan:z';

/** `did:banyan:z` and base58btc, with one `1` for each leading zero byte. @param {string} account an account's id */
export function accountText(account) {
  const zeros = /^(00)*/.exec(account)?.[0].length ?? 0;
  let [digits, rest] = ['', BigInt(`0x0${account}`)];
  for (; rest > 0n; rest /= 58n) digits = BASE58[Number(rest % 58n)] + digits;
  return DID + '1'.repeat(zeros / 2) + digits;
}

/** @param {string} did as `accountText` writes it, and no other text @returns {string} the account's id */
export function accountOf(did) {
  const digits = [...did.slice(DID.length, 64)].map((digit) => BASE58.indexOf(digit));
  const number = digits.reduce((sum, digit) => sum * 58n + BigInt(Math.max(0, digit)), 0n);
  const account = number.toString(16).padStart(64, '0');
  if (account.length !== 64 || accountText(account) !== did) throw new Rejected(`no account: ${did.slice(0, 80)}`);
  return account;
}
