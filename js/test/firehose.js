/** For tests/web: reads a stream of signed entries from a file, and prints what it says; then alters it and is not deceived. */
import { readFile } from 'node:fs/promises';
import { FirehoseReader, MAIN, NotYet, Rejected } from '../index.js';
import { COLLECTIONS, SHAPES, readContent } from '../src/social.js';

const file = new Uint8Array(await readFile(process.argv[2]));

/** In pieces of some hundred bytes. */
function* pieces(bytes) {
  for (let at = 0; at < bytes.length; at += 777) yield bytes.slice(at, at + 777);
}

async function read(bytes) {
  const [texts, reader] = [[], new FirehoseReader(MAIN)];
  let end = null;
  for await (const told of reader.read(pieces(bytes))) {
    for (const { entry, contents } of told.entries)
      for (const [op, content] of contents) {
        const what = entry.ops[op];
        if (what.coll === COLLECTIONS.post) texts.push(readContent(SHAPES.post, content).text);
      }
    end ??= told.end;
  }
  return { texts, why: end?.why };
}

const said = await read(file);
let [tried, caught] = [0, 0];
for (let at = 200; at < file.length - 200; at += Math.floor(file.length / 20)) {
  const lie = file.slice();
  lie[at] ^= 1;
  tried++;
  const found = await read(lie).catch((error) => {
    if (error instanceof Rejected || error instanceof NotYet) return null;
    throw error;
  });
  // what is no entry (a cursor, a time) is the node's own word; the texts are not
  if (found === null || JSON.stringify(found.texts) === JSON.stringify(said.texts)) caught++;
}
console.log(JSON.stringify({ ...said, tried, caught }));
