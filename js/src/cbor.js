/**
 * The CBOR of the protocol (section 1): unsigned integers, byte strings, arrays and null, each in its only spelling.
 * What a general decoder accepts beside that would be a second spelling of one entry; it is refused while it is read.
 * An integer is a number up to 2^53 - 1, and a bigint above.
 *
 * @import { Bytes } from './bytes.js'
 * @typedef {number | bigint | Bytes | null | Values} Value
 * @typedef {Value[]} Values
 */
import { Rejected, bigEndian, concat, joined } from './bytes.js';

const [UINT, BYTES, ARRAY, NULL] = [0, 2, 4, 0xf6];
const MAX_DEPTH = 8;

/** @param {number} major @param {number | bigint} n @returns {Bytes} */
function head(major, n) {
  const isExact = typeof n === 'bigint' || Number.isSafeInteger(n);
  if (!isExact || n < 0 || n >= 2n ** 64n) throw new Rejected(`${n} is not an integer of 0 to 2^64 - 1`);
  const size = n < 24 ? 0 : n < 2 ** 8 ? 1 : n < 2 ** 16 ? 2 : n < 2 ** 32 ? 4 : 8;
  if (size === 0) return Uint8Array.of((major << 5) | Number(n));
  return concat(Uint8Array.of((major << 5) | (24 + Math.log2(size))), bigEndian(n, size));
}

/** @param {Value} value @returns {Bytes} */
export function encode(value) {
  if (value === null) return Uint8Array.of(NULL);
  if (value instanceof Uint8Array) return concat(head(BYTES, value.length), value);
  if (Array.isArray(value)) return joined([head(ARRAY, value.length), ...value.map(encode)]);
  return head(UINT, value);
}

/**
 * @param {Bytes} bytes one value and nothing behind it
 * @param {number} [maxDepth] how deep arrays may nest
 * @param {number} [maxArrays] how many there may be
 * @returns {Value}
 */
export function decode(bytes, maxDepth = MAX_DEPTH, maxArrays = Infinity) {
  let [at, arrays] = [0, 0];
  /** @param {number} size */
  const take = (size) => {
    if (size > bytes.length - at) throw new Rejected(`CBOR is cut off at byte ${bytes.length}`);
    return (at += size) - size;
  };
  /** @param {number} info the low five bits of an initial byte @returns {number | bigint} */
  const argument = (info) => {
    if (info < 24) return info;
    if (info > 27) throw new Rejected(`CBOR has an indefinite or reserved length at byte ${at - 1}`);
    const size = 2 ** (info - 24);
    const start = take(size);
    const n = bytes.subarray(start, at).reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
    if (n < (size === 1 ? 24 : 2 ** (4 * size))) throw new Rejected(`CBOR has an integer that is too long at ${start}`);
    return n <= Number.MAX_SAFE_INTEGER ? Number(n) : n;
  };
  /** @param {number} depth @returns {Value} */
  const read = (depth) => {
    const initial = bytes[take(1)];
    const major = initial >> 5;
    if (initial === NULL) return null;
    if (![UINT, BYTES, ARRAY].includes(major)) throw new Rejected(`CBOR has a type that is not used at byte ${at - 1}`);
    const n = argument(initial & 31);
    if (major === UINT) return n;
    if (n > bytes.length - at) throw new Rejected(`CBOR wants ${n} more at byte ${at}, and ends at ${bytes.length}`);
    if (major === BYTES) return bytes.slice(take(Number(n)), at);
    if (depth === 0) throw new Rejected(`CBOR has arrays more than ${maxDepth} deep`);
    if (++arrays > maxArrays) throw new Rejected(`CBOR has more than ${maxArrays} arrays`);
    return Array.from({ length: Number(n) }, () => read(depth - 1));
  };
  const value = read(maxDepth);
  if (at !== bytes.length) throw new Rejected(`${bytes.length - at} bytes follow the CBOR value`);
  return value;
}
