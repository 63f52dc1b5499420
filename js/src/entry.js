/**
 * Entries (section 2): what a header says, and how entries are linked.
 *
 * @import { Bytes } from './bytes.js'
 * @import { Value } from './cbor.js'
 * @import { Realm } from './crypto.js'
 * @import { Op } from './ops.js'
 * @import { Of } from './shape.js'
 *
 * @typedef {Of<typeof HEADER>} Header
 *
 * @typedef {object} Named what the bytes of an entry are, beside the fields of its header
 * @property {string} id
 * @property {Bytes} header
 * @property {Bytes} body
 * @property {Op[] | null} ops null: the entry is void, and stays in its log without operations
 * @property {number} partBytes the bytes of parts that it declares; 0 in a control log, where nothing depends on it
 *
 * @typedef {Omit<Header, 'version'> & Named} Entry `account` is the account in an inception, too
 */
import { NotYet, Rejected, hex, unhex } from './bytes.js';
import { decode } from './cbor.js';
import { hash } from './crypto.js';
import { readBody, u32, u48 } from './ops.js';
import { bytes, format, id, maybe, record, time, uint, where } from './shape.js';

const MAX_HEADER = 256;
/** Control entries have a lower `seq`, so that a control log and its branches can be judged as a whole. */
const CONTROL_ENTRIES = 2_304;

const idOrNone = where(bytes(32), ({ length }) => length === 0 || length === 32, 'an account or nothing');
const account = { read: (/** @type {Value} */ value) => hex(idOrNone.read(value)), write: unhex };
const link = maybe(id(32));
const place = { account, writer: id(32), log: u32, seq: u48 };
const HEADER = record({ version: uint(1, 1), ...place, prev: link, skip: link, time, total: uint(), opsHash: id(32) });

/** @param {number} n counted from 1 @returns {number} where the skip link of the nth entry leads (Lipmaa 1999) */
function lipmaa(n) {
  let [m, power, rest] = [1, 3, n];
  while (m < n) {
    power *= 3;
    m = (power - 1) / 2;
  }
  power /= 3;
  if (m !== n) {
    while (rest !== 0) {
      m = (power - 1) / 2;
      power /= 3;
      rest %= m;
    }
    if (m !== power) power = m;
  }
  return n - power;
}

/** @param {number} seq @returns {number | null} the `seq` of the entry to which this one skips; null: to none */
export function skipOf(seq) {
  const to = lipmaa(seq + 1) - 1;
  return seq === 0 || to === seq - 1 ? null : to;
}

/**
 * The entry at a lower place of the same branch, by skip links and hashes.
 *
 * @template {{ seq: number, prev: string | null, skip: string | null }} E
 * @param {(id: string) => E | undefined} get
 * @param {E | undefined} from
 * @param {number} seq
 */
export function ancestor(get, from, seq) {
  let at = from;
  while (at && at.seq > seq) {
    const next = (skipOf(at.seq) ?? -1) >= seq ? at.skip : at.prev;
    at = next === null ? undefined : get(next);
  }
  return at;
}

/** @param {Bytes} raw @returns {Header} right in itself, whatever it is linked to */
export function readHeader(raw) {
  if (raw.length > MAX_HEADER) throw new Rejected(`a header has at most ${MAX_HEADER} bytes, not ${raw.length}`);
  const value = decode(raw, 1);
  const version = Array.isArray(value) ? value[0] : null;
  if ((typeof version === 'number' || typeof version === 'bigint') && version !== 1) {
    throw new NotYet('version', `an entry of version ${version}; this client reads version 1`);
  }
  const header = HEADER.read(value);
  const isInception = header.log === 0 && header.seq === 0;
  if ((header.account === '') !== isInception) throw new Rejected('only the account of an inception is empty');
  if ((header.prev === null) !== (header.seq === 0)) throw new Rejected('prev is null in entry 0, nowhere else');
  if ((header.skip === null) !== (skipOf(header.seq) === null)) throw new Rejected(`entry ${header.seq}: wrong skip`);
  if (header.log === 0 && header.seq >= CONTROL_ENTRIES) throw new Rejected(`a control log has no entry ${header.seq}`);
  return header;
}

/**
 * @param {Realm} realm @param {Bytes} raw the header @param {Bytes} body @param {number} [partBytes]
 * @returns {Promise<Entry>} not yet authentic: a signature on it, or on a later entry of its run, says who wrote it
 */
export async function readEntry(realm, raw, body, partBytes = 0) {
  const { version, ...header } = readHeader(raw);
  if ((await hash('ops', body)) !== header.opsHash) throw new Rejected('operations that the header does not name');
  const id = await hash('entry', unhex(realm.id), raw);
  return { ...header, account: header.account || id, id, header: raw, body, ops: readBody(body), partBytes };
}

/**
 * @param {Realm} realm
 * @param {Omit<Header, 'version' | 'opsHash'>} fields
 * @param {Bytes} body
 * @param {number} partBytes
 */
export async function makeEntry(realm, fields, body, partBytes) {
  const header = format(HEADER, { version: 1, ...fields, opsHash: await hash('ops', body) });
  return readEntry(realm, header, body, partBytes);
}

/** @param {string} writer @param {number} log */
export const logName = (writer, log) => `${writer}/${log}`;
