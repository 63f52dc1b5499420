/** Random histories, one JSON value a line, with what the product makes of them: `python -m tests.js.histories`. */
import { readFile } from 'node:fs/promises';
import { checkState, held } from './checks.js';
import { same } from './support.js';

const lines = (await readFile(process.argv[2], 'utf8')).trim().split('\n');
const tally = { histories: lines.length, frozen: 0, forked: 0, empty: 0, differing: [] };
const sorted = (object) => Object.fromEntries(Object.entries(object).sort());

for (const line of lines) {
  const history = JSON.parse(line);
  const { name, realm, cells } = history;
  try {
    for (const order of [(all) => all, (all) => all.toReversed()]) {
      const account = await held(history, order, realm);
      const { registers, sets, counters, tombs } = await checkState(account, history);
      const live = (writes) => writes.map(({ entry, op }) => [entry, op]);
      const found = {
        registers: sorted(Object.fromEntries([...registers].map(([cell, writes]) => [cell, live(writes)]))),
        sets: sorted(Object.fromEntries([...sets].map(([cell, elements]) => [cell, [...elements.keys()].sort()]))),
        counters: sorted(Object.fromEntries([...counters].map(([cell, sum]) => [cell, Number(sum)]))),
        tombs: [...tombs].sort(),
      };
      for (const kind of Object.keys(found)) {
        same(found[kind], kind === 'tombs' ? cells.tombs : sorted(cells[kind]), `${name}: ${kind}`);
      }
    }
  } catch (error) {
    tally.differing.push(`${name}: ${String(error.stack).slice(0, 600)}`);
  }
  tally.frozen += Number(history.frozen);
  tally.forked += Number(history.heads.some((head) => head[2] > 0 && head[5]));
  tally.empty += Number(history.heads.every((head) => head[2] === 0));
}
console.log(JSON.stringify({ ...tally, differing: tally.differing.slice(0, 5), count: tally.differing.length }));
process.exitCode = Number(tally.differing.length > 0);
