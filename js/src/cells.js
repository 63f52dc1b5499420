/**
 * Cells (section 8): what all counted operations of an account come to, in whatever order they are read.
 *
 * @import { Op, Writing } from './ops.js'
 *
 * @typedef {{ id: string, time: bigint, ops: Op[] }} Said the operations of a counted entry
 * @typedef {{ entry: string, op: number, time: bigint, what: Op }} Placed
 * @typedef {Omit<Placed, 'what'> & { what: Writing }} Live a write that nothing covers
 *
 * @typedef {object} Cells by `cellName`; the write that shows stands first
 * @property {Map<string, Live[]>} registers
 * @property {Map<string, Map<string, Live[]>>} sets then by element
 * @property {Map<string, bigint>} counters
 * @property {Set<string>} tombs
 * @property {Map<string, Placed>} placed all operations, by `refName`
 */
import { into } from './bytes.js';
import { refName } from './ops.js';

/** @param {{ coll: string, key: string }} cell */
export const cellName = ({ coll, key }) => `${coll}/${key}`;

/** The later write first: by time, entry, operation. @param {Omit<Placed, 'what'>} a @param {Omit<Placed, 'what'>} b */
export function laterFirst(a, b) {
  if (a.time !== b.time) return a.time > b.time ? -1 : 1;
  return a.entry === b.entry ? b.op - a.op : a.entry > b.entry ? -1 : 1;
}

/** Whether an operation may cover another one that it names. @param {Op} by @param {Op} what */
function mayCover(by, what) {
  if (by.op === 'put') return what.op === 'put' && cellName(by) === cellName(what);
  return by.op === 'del' && ['put', 'add', 'text'].includes(what.op) && 'coll' in what && what.coll === by.coll;
}

/** +n is 2n, -n is 2n - 1. @param {bigint} zigzag */
const unzigzag = (zigzag) => (zigzag % 2n === 0n ? zigzag / 2n : -(zigzag + 1n) / 2n);

/** @param {Iterable<Said>} entries @returns {Cells} */
export function fold(entries) {
  /** @type {Map<string, Placed>} */
  const placed = new Map();
  for (const { id, time, ops } of entries) {
    for (const [op, what] of ops.entries()) placed.set(refName({ entry: id, op }), { entry: id, op, time, what });
  }
  const [covered, tombs] = [new Set(), new Set()];
  for (const { what } of placed.values()) {
    if (what.op === 'tomb') tombs.add(cellName(what));
    for (const ref of 'refs' in what ? what.refs : []) {
      const target = placed.get(refName(ref));
      if (target && mayCover(what, target.what)) covered.add(refName(ref));
    }
  }
  /** @type {Cells} */
  const cells = { registers: new Map(), sets: new Map(), counters: new Map(), tombs, placed };
  const live = [...placed].filter(([ref]) => !covered.has(ref)).map(([, one]) => one);
  for (const { what, ...at } of live.sort(laterFirst)) {
    if (!('key' in what) || tombs.has(cellName(what))) continue;
    const name = cellName(what);
    if (what.op === 'put') into(cells.registers, name, () => []).push({ ...at, what });
    if (what.op === 'add')
      into(
        into(cells.sets, name, () => new Map()),
        what.elem,
        () => [],
      ).push({ ...at, what });
    if (what.op === 'count') cells.counters.set(name, (cells.counters.get(name) ?? 0n) + unzigzag(BigInt(what.zigzag)));
  }
  return cells;
}
