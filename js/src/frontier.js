/**
 * Frontier cursors (section 9): up to where the logs of a network were told to a reader of a node's firehose. A reader
 * need not understand one; who compares two nodes, or shows how far a reader has come, does.
 *
 * @import { Bytes } from './bytes.js'
 *
 * @typedef {{ account: string, writer: string, log: number }} Log
 * @typedef {Log & { seq: number, id: string }} ToldRow this entry of the log and all below it were told
 * @typedef {{ seq: number, id: string }} ToldPlace id: the first 8 bytes of the entry's, in hexadecimal
 */
import { Rejected, bigEndian, concat, hex, joined, unhex } from './bytes.js';
import { hash } from './crypto.js';

const PREFIX = 'f1.';
const [NAME, SEQ, ID] = [6, 6, 8];
const ROW = NAME + SEQ + ID;
const MAX_ROWS = 2_000_000;
const MAX_TEXT = 67_108_864;

/** How a row names a log, in hexadecimal. @param {Log} log */
async function nameOf({ account, writer, log }) {
  return (await hash('told', unhex(account), unhex(writer), bigEndian(log, 4))).slice(0, 2 * NAME);
}

/** @param {Bytes} bytes @param {CompressionStream | DecompressionStream} through @param {number} most */
async function piped(bytes, through, most) {
  const reader = new Blob([bytes]).stream().pipeThrough(through).getReader();
  /** @type {Bytes[]} */
  const pieces = [];
  for (let size = 0; ; ) {
    const { value, done } = await reader.read();
    if (done) return joined(pieces);
    size += value.length;
    if (size > most) throw new Rejected(`a frontier cursor has at most ${MAX_ROWS} rows`);
    pieces.push(value);
  }
}

/** The checksum at the end of zlib. Some engines pass over what follows it. @param {Bytes} raw */
function adler32(raw) {
  let [a, b] = [1, 0];
  for (const byte of raw) {
    a = (a + byte) % 65_521;
    b = (b + a) % 65_521;
  }
  return hex(concat(bigEndian(b, 2), bigEndian(a, 2)));
}

export class FrontierCursor {
  /** @param {Bytes} raw names, seqs and ids, as columns */
  constructor(raw) {
    if (raw.length % ROW) throw new Rejected(`a frontier cursor has ${ROW} bytes for each row, not ${raw.length} in all`);
    this.count = raw.length / ROW;
    this.raw = raw;
  }

  /** What is said of a log, highest first. @param {Log} log @returns {Promise<ToldPlace[]>} */
  async places(log) {
    const wanted = await nameOf(log);
    /** @type {ToldPlace[]} */
    const found = [];
    const [seqs, ids] = [NAME * this.count, (NAME + SEQ) * this.count];
    for (let at = 0; at < this.count; at++) {
      if (hex(this.raw.subarray(NAME * at, NAME * (at + 1))) !== wanted) continue;
      const seq = parseInt(hex(this.raw.subarray(seqs + SEQ * at, seqs + SEQ * (at + 1))), 16);
      found.push({ seq, id: hex(this.raw.subarray(ids + ID * at, ids + ID * (at + 1))) });
    }
    return found;
  }
}

/** Throws Rejected for what is none. @param {string} text */
export async function readFrontierCursor(text) {
  const body = text.slice(PREFIX.length);
  if (!text.startsWith(PREFIX) || text.length > MAX_TEXT || !/^[A-Za-z0-9_-]+$/.test(body))
    throw new Rejected(`a frontier cursor is ${PREFIX} and letters of base64url`);
  let raw;
  try {
    const packed = Uint8Array.from(atob(body.replaceAll('-', '+').replaceAll('_', '/')), (one) => one.charCodeAt(0));
    raw = await piped(packed, new DecompressionStream('deflate'), ROW * MAX_ROWS);
    if (hex(packed.slice(-4)) !== adler32(raw)) throw new Rejected('something follows this frontier cursor');
  } catch (error) {
    throw error instanceof Rejected ? error : new Rejected(`this frontier cursor is damaged: ${error}`);
  }
  return new FrontierCursor(raw);
}

/** @param {ToldRow[]} rows in any order */
export async function writeFrontierCursor(rows) {
  const named = await Promise.all(rows.map(async (row) => ({ ...row, name: await nameOf(row) })));
  named.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : b.seq - a.seq));
  const names = named.map(({ name }) => unhex(name));
  const seqs = named.map(({ seq }) => bigEndian(seq, SEQ));
  const ids = named.map(({ id }) => unhex(id.slice(0, 2 * ID)));
  const packed = await piped(joined([...names, ...seqs, ...ids]), new CompressionStream('deflate'), Infinity);
  return PREFIX + btoa(Array.from(packed, (byte) => String.fromCharCode(byte)).join('')).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}
