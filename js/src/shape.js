/**
 * Shapes: the grammar of the protocol (there in CDDL) as values that read and write. A shape refuses what is not of it,
 * and reads what it wrote. A record is an array whose fields stand in the order in which they are named here.
 *
 * @import { Bytes } from './bytes.js'
 * @import { Value } from './cbor.js'
 */
import { Rejected, hex, text, unhex, utf8 } from './bytes.js';
import { decode, encode } from './cbor.js';

/**
 * @template T
 * @typedef {{ read: (value: Value) => T, write: (what: T) => Value }} Shape
 */
/**
 * @template S
 * @typedef {S extends Shape<infer T> ? T : never} Of
 */

/** @param {boolean} good @param {string} wanted @param {Value} value @returns {asserts good} */
function demand(good, wanted, value) {
  if (good) return;
  const got = value instanceof Uint8Array ? `${value.length} bytes` : Array.isArray(value) ? 'another array' : value;
  throw new Rejected(`wanted ${wanted}, got ${got}`);
}

/** @param {number} [max] @param {number} [min] @returns {Shape<number>} an integer that is at most 2^53 - 1 */
export const uint = (max = Number.MAX_SAFE_INTEGER, min = 0) => ({
  read(value) {
    demand(typeof value === 'number' && value >= min && value <= max, `an integer of ${min} to ${max}`, value);
    return value;
  },
  write: (n) => n,
});

/** @type {Shape<number | bigint>} */
export const u64 = {
  read(value) {
    demand(typeof value === 'number' || typeof value === 'bigint', 'an integer', value);
    return value;
  },
  write: (n) => n,
};

/** Milliseconds since 1970 << 16, and a counter. @type {Shape<bigint>} */
export const time = { read: (value) => BigInt(u64.read(value)), write: (n) => n };

/** @param {Value} value @returns {value is Bytes} */
const isBytes = (value) => value instanceof Uint8Array;

/** @param {number} max @param {number} [min] in bytes @returns {Shape<Bytes>} */
export const bytes = (max, min = 0) => ({
  read(value) {
    demand(isBytes(value) && value.length >= min && value.length <= max, `${min} to ${max} bytes`, value);
    return value;
  },
  write: (what) => what,
});

/** @param {number} size in bytes @returns {Shape<string>} an id in hexadecimal */
export const id = (size) => ({
  read: (value) => hex(bytes(size, size).read(value)),
  write: (name) => bytes(size, size).read(unhex(name)),
});

/** UTF-8. A writer normalises, a reader takes it as it comes. @param {number} max in bytes @returns {Shape<string>} */
export const string = (max) => ({
  read: (value) => text(bytes(max).read(value)),
  write: (what) => bytes(max).read(utf8(what.normalize('NFC'))),
});

/**
 * @template {string} W
 * @param {(W | null)[]} words by the number that stands for them; null: a number without a meaning
 * @returns {Shape<W>}
 */
export const choice = (...words) => ({
  read(value) {
    const word = typeof value === 'number' ? words[value] : undefined;
    demand(word !== undefined && word !== null, `a number for one of ${words.filter(Boolean).join(', ')}`, value);
    return word;
  },
  write: (word) => words.indexOf(word),
});

/** @template T @param {Shape<T>} shape @returns {Shape<T | null>} */
export const maybe = (shape) => ({
  read: (value) => (value === null ? null : shape.read(value)),
  write: (what) => (what === null ? null : shape.write(what)),
});

/** @template T @param {Shape<T>} shape @param {number} [max] @param {number} [min] @returns {Shape<T[]>} */
export const list = (shape, max = Infinity, min = 0) => ({
  read(value) {
    demand(Array.isArray(value) && value.length >= min && value.length <= max, `an array of ${min} to ${max}`, value);
    return value.map(shape.read);
  },
  write: (all) => all.map(shape.write),
});

/**
 * Exactly these fields. With `later` these may follow: null where there is none, and not written at the end if null.
 * What is behind them is ignored, because a later version may add fields.
 *
 * @template {Record<string, Shape<any>>} F
 * @template {Record<string, Shape<any>>} [L={}]
 * @param {F} fields
 * @param {L} [later]
 * @returns {Shape<{ [K in keyof F]: Of<F[K]> } & { [K in keyof L]?: Of<L[K]> | null }>}
 */
export function record(fields, later) {
  const least = Object.keys(fields).length;
  /** @type {Record<string, Shape<any>>} */
  const following = Object.fromEntries(Object.entries(later ?? {}).map(([name, shape]) => [name, maybe(shape)]));
  const shapes = Object.entries({ ...fields, ...following });
  const wanted = `an array of ${Object.keys(fields).join(', ')}${later ? ', and more' : ''}`;
  return {
    read(value) {
      demand(Array.isArray(value) && (later ? value.length >= least : value.length === least), wanted, value);
      const said = shapes.slice(0, value.length).map(([name, shape], i) => [name, shape.read(value[i])]);
      return Object.fromEntries(said);
    },
    write(what) {
      const values = shapes.map(([name, shape]) => shape.write(/** @type {any} */ (what)[name] ?? null));
      while (values.length > least && values.at(-1) === null) values.pop();
      return values;
    },
  };
}

/** @template T @param {Shape<T>} shape @param {Bytes} raw @param {number} [maxDepth] @returns {T} */
export const parse = (shape, raw, maxDepth) => shape.read(decode(raw, maxDepth));

/** @template T @param {Shape<T>} shape @param {T} what @returns {Bytes} */
export const format = (shape, what) => encode(shape.write(what));

/**
 * A shape of which something more must hold. `wanted`: what, for people.
 *
 * @template T @param {Shape<T>} shape @param {(what: T) => boolean} holds @param {string} wanted @returns {Shape<T>}
 */
export const where = (shape, holds, wanted) => ({
  read(value) {
    const what = shape.read(value);
    demand(holds(what), wanted, value);
    return what;
  },
  write: shape.write,
});

/** @template T @param {(what: T) => unknown} name @returns {(all: T[]) => boolean} whether no two have one name */
export const distinct = (name) => (all) => new Set(all.map(name)).size === all.length;
