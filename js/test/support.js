/** What the checks need, in Node and in a browser: the vectors, and two comparisons. */
import { Rejected, unhex } from '../src/bytes.js';

const VECTORS = new URL('../../tests/vectors/', import.meta.url);

/** The content of a file of vectors. */
export async function vectors(name) {
  const place = new URL(`${name}.json`, VECTORS);
  if (place.protocol !== 'file:') return (await fetch(place)).json();
  const { readFile } = await import('node:fs/promises');
  return JSON.parse(await readFile(place, 'utf8'));
}

/** Values as texts that compare: bytes in hexadecimal, maps and sets as sorted arrays, large integers as in vectors. */
const plain = (value) =>
  JSON.stringify(value, (_, one) => {
    if (one instanceof Uint8Array)
      return { bytes: Array.from(one, (byte) => byte.toString(16).padStart(2, '0')).join('') };
    if (one instanceof Map) return [...one].sort();
    if (one instanceof Set) return [...one].sort();
    return typeof one === 'bigint' ? String(one) : one;
  });

export function same(got, wanted, name) {
  if (plain(got) !== plain(wanted)) throw new Error(`${name}: got ${plain(got)}, wanted ${plain(wanted)}`);
}

/** Whether `act` throws an error of this kind. */
export async function throws(act, kind, name) {
  try {
    await act();
  } catch (error) {
    if (error instanceof kind) return error;
    throw error;
  }
  throw new Error(`${name}: nothing was thrown`);
}

export const refuses = (act, name) => throws(act, Rejected, name);

/** A control entry of a file of vectors, as it travels. */
export const signedControl = ({ header, ops, sig }) => ({ header: unhex(header), sig: unhex(sig), ops: unhex(ops) });
