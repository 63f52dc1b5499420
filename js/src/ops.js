/**
 * Operations (section 3): the body of an entry, and the parts that hold what can be erased.
 *
 * @import { Bytes } from './bytes.js'
 * @import { Value } from './cbor.js'
 * @import { Of, Shape } from './shape.js'
 *
 * @typedef {{ [N in keyof typeof OPS]: { op: N } & Of<(typeof OPS)[N]> }[keyof typeof OPS]} KnownOp
 * @typedef {KnownOp | { op: 'unknown', raw: Value[] }} Op
 * @typedef {Extract<Op, { op: 'put' | 'add' }>} Writing
 * @typedef {Of<typeof ref>} Ref one operation
 * @typedef {NonNullable<Of<typeof part>>} PartName
 * @typedef {{ name: PartName, raw: Bytes }} Part
 */
import { Rejected } from './bytes.js';
import { hash } from './crypto.js';
import { bytes, distinct, format, id, list, maybe, parse, record, time, u64, uint, where } from './shape.js';

const MAX_OPS_BYTES = 16_384;
export const MAX_PART_BYTES = 65_536;

export const [u16, u32, u48] = [uint(2 ** 16 - 1), uint(2 ** 32 - 1), uint(2 ** 48 - 1)];
const [coll, key, atLeastOne] = [id(8), id(16), uint(2 ** 32 - 1, 1)];
const part = maybe(record({ hash: id(32), size: uint(MAX_PART_BYTES) }));
const ref = record({ entry: id(32), op: u16 });
const position = maybe(record({ entry: id(32), op: u16, offset: u32 }));
const logs = { writer: id(32), first: atLeastOne, logs: atLeastOne };
const slot = record({ current: id(32), next: id(32) });
const kept = where(
  list(record({ log: u32, seq: u48, id: id(32) })),
  distinct((one) => one.log),
  'no log twice',
);

/** @template {Record<string, Shape<any>>} F @param {number} code @param {F} fields */
const op = (code, fields) => ({ code, ...record(fields) });

const OPS = {
  put: op(1, { coll, key, refs: list(ref), part }),
  add: op(2, { coll, key, elem: key, part }),
  del: op(3, { coll, refs: list(ref) }),
  count: op(4, { coll, key, zigzag: u64 }),
  text: op(5, { coll, key, left: position, right: position, n: uint(2 ** 16 - 1, 1), part }),
  textdel: op(6, { coll, ref, start: u16, n: u16 }),
  tomb: op(7, { coll, key }),
  pin: op(8, { writer: id(32), log: u32, seq: u48, id: id(32) }),
  init: op(16, { slots: list(slot, 8, 1), salt: part }),
  grant: op(17, { ...logs, stratum: uint(255), colls: maybe(list(coll)), until: maybe(time), x25519: maybe(id(32)) }),
  cut: op(18, { writer: id(32), kept }),
  rotate: op(19, { slot: uint(255), next: id(32) }),
  recover: op(20, { root: id(32), next: id(32) }),
  drop: op(21, { writer: id(32), log: u32 }),
  close: op(22, {}),
  host: op(23, { platform: id(32) }),
};
const NAMES = new Map(Object.entries(OPS).map(([name, { code }]) => [code, /** @type {keyof typeof OPS} */ (name)]));

/** @type {Shape<Value[]>} */
const coded = {
  read(value) {
    if (!Array.isArray(value) || !value.length) throw new Rejected('an operation is an array that begins with a code');
    return [u64.read(value[0]), ...value.slice(1)];
  },
  write: (what) => what,
};
const BODY = record({ deps: list(id(32), 16), ops: list(coded, 512) });

/** @param {Value[]} raw @returns {Op} */
function readOp(raw) {
  const name = NAMES.get(Number(raw[0]));
  return name ? /** @type {Op} */ ({ op: name, ...OPS[name].read(raw.slice(1)) }) : { op: 'unknown', raw };
}

/** @param {Bytes} raw @returns {Op[] | null} null: the body is void, because a known operation has wrong arguments */
export function readBody(raw) {
  if (raw.length > MAX_OPS_BYTES) throw new Rejected(`a body has at most ${MAX_OPS_BYTES} bytes, not ${raw.length}`);
  const { ops } = parse(BODY, raw);
  try {
    return ops.map(readOp);
  } catch (error) {
    if (error instanceof Rejected) return null;
    throw error;
  }
}

/** @param {Op[]} ops @param {string[]} [deps] @returns {Bytes} */
export function writeBody(ops, deps = []) {
  const values = ops.map((one) => {
    if (one.op === 'unknown') return one.raw;
    const { code, write } = /** @type {{ code: number } & Shape<any>} */ (OPS[one.op]);
    return [code, .../** @type {Value[]} */ (write(one))];
  });
  return format(BODY, { deps, ops: values });
}

/** @param {Ref} ref @returns {string} */
export const refName = (ref) => `${ref.entry}/${ref.op}`;

/** @param {Op} one @returns {PartName | null} */
export const partOf = (one) => ('part' in one ? one.part : one.op === 'init' ? one.salt : null);

const PART = record({ salt: id(16), content: bytes(MAX_PART_BYTES) });

/** @param {Bytes} content @param {string} salt 16 random bytes, or the hash of a guessable text would disclose it */
export async function makePart(content, salt) {
  const raw = format(PART, { salt, content });
  return { raw, name: { hash: await hash('part', raw), size: raw.length } };
}

/** @param {PartName} name @param {Bytes} raw @returns {Promise<Bytes>} the content */
export async function openPart(name, raw) {
  const isNamed = raw.length === name.size && (await hash('part', raw)) === name.hash;
  if (!isNamed) throw new Rejected(`content that is not the part ${name.hash}`);
  return parse(PART, raw).content;
}
