/** One check for each file of vectors that concerns a reader, in Node and in a browser; and why the others do not. */
import { Account } from '../src/account.js';
import { readArchive, readFrames } from '../src/archive.js';
import { NotYet, Rejected, accountOf, accountText, hex, unhex, utf8 } from '../src/bytes.js';
import { decode, encode } from '../src/cbor.js';
import { fold } from '../src/cells.js';
import { FirehoseReader } from '../src/firehose.js';
import { readFrontierCursor, writeFrontierCursor } from '../src/frontier.js';
import * as crypto from '../src/crypto.js';
import { makeEntry, readEntry, skipOf } from '../src/entry.js';
import { keysOfSeed, signerOf } from '../src/keys.js';
import { frontierDigest, headBytes, isWithinLimits } from '../src/logs.js';
import { makePart, openPart, readBody, writeBody } from '../src/ops.js';
import { format, parse } from '../src/shape.js';
import { readCheckpoint, readRun, writeRun } from '../src/signed.js';
import { COLLECTIONS, SHAPES } from '../src/social.js';
import * as write from '../src/write.js';
import { refuses, same, signedControl, vectors } from './support.js';

const { MAIN, TEST } = crypto;
/** Later than every time in the vectors. */
const LATER_MS = 2 ** 46;

export const elsewhere = {
  charter: 'who belongs to an alliance: a browser verifies accounts',
  messages: 'links between nodes: a browser has none',
  refused: 'links between nodes',
  sketch: 'how two nodes compare',
  sums: 'how two nodes compare',
  private: 'what an account says to itself: XChaCha20-Poly1305 and X25519 boxes are not in WebCrypto',
  text: 'no collection of version 1 uses texts; their operations are read, and not folded',
};

const head = ([account, writer, log, length, id, flag]) => ({ account, writer, log, length, id, flag: Boolean(flag) });

/** All that bytes tell which come in pieces of this size. */
async function readStream(bytes, size) {
  function* pieces() {
    for (let at = 0; at < bytes.length; at += size) yield bytes.slice(at, at + size);
  }
  const told = [];
  for await (const one of new FirehoseReader(TEST).read(pieces())) told.push(one);
  return told;
}

/** What of an event follows from the signed bytes alone. */
const ofBytes = ({ kind, id, key, element, account, entry, op, writer, log, seq, time_ms, removes }) =>
  [kind, id, key, element, account, entry, op, writer, log, seq, time_ms, removes];

/** The events of an entry, in the same form. told: the stream, where what is taken back stands. */
function eventsOf(told) {
  const known = new Map(told.flatMap((one) => one.entries).map(({ entry }) => [entry.id, entry]));
  const cell = ({ key, elem }) => [key ?? null, elem ?? null];
  return ({ account, entry }) => {
    const said = entry.ops.flatMap((op, at) => {
      if (op.op === 'put') return [[op.refs.length ? 'update' : 'create', cell(op), at, null]];
      if (op.op === 'add') return [['create', cell(op), at, null]];
      if (op.op === 'tomb') return [['delete', cell(op), at, null]];
      if (op.op === 'del') return op.refs.map((ref) => ['delete', cell(known.get(ref.entry).ops[ref.op]), at, ref]);
      return [['account', [null, null], at, null]];
    });
    return said.map(([kind, [key, element], op, removes], number) =>
      ofBytes({
        ...{ kind, key, element, op, removes, id: `${entry.id}:${number}`, account: accountText(account) },
        ...{ entry: entry.id, writer: entry.writer, log: entry.log, seq: entry.seq, time_ms: Number(entry.time >> 16n) },
      }),
    );
  };
}

/** An account that holds what these vectors hold: each signed entry comes as a run from the beginning of its log. */
export async function held({ account: id, control, logs, checkpoints }, order, realm = TEST) {
  const account = new Account(realm, id);
  for (const one of control) await account.addControl(signedControl(one), LATER_MS);
  for (const { entries } of order(logs)) {
    const byId = new Map();
    for (const { header, ops, sig } of entries) {
      const entry = await readEntry(realm, unhex(header), unhex(ops));
      const below = byId.get(entry.prev)?.total ?? 0;
      byId.set(entry.id, { ...entry, sig, partBytes: entry.total - below - entry.body.length });
    }
    for (const signed of order([...byId.values()].filter((entry) => entry.sig))) {
      const run = [];
      for (let at = signed; at; at = byId.get(at.prev)) run.unshift(at);
      await account.addRun(
        writeRun(run, unhex(signed.sig), () => ''),
        LATER_MS,
      );
    }
  }
  for (const raw of order(checkpoints)) await account.addCheckpoint(unhex(raw));
  return account;
}

/** Compares what an account comes to with what is said of it. */
export async function checkState(account, { name, frozen, path, heads, digest }) {
  const state = account.state();
  same(state.control.frozen, frozen, `${name}: frozen`);
  same(
    state.control.path.map((entry) => entry.id),
    path,
    `${name}: path`,
  );
  same(state.heads, heads.map(head), `${name}: heads`);
  same(await frontierDigest(state.heads), digest, `${name}: digest`);
  return state.cells;
}

async function states(file) {
  for (const one of await vectors(file)) {
    for (const order of [(all) => all, (all) => all.toReversed()]) await checkState(await held(one, order), one);
  }
}

export const checks = {
  async cbor() {
    const { read, refused } = await vectors('cbor');
    for (const { name, raw } of read) same(hex(encode(decode(unhex(raw)))), raw, name);
    for (const { name, raw, value } of read) same(decode(unhex(raw)), value, name);
    for (const { name, raw } of refused) await refuses(() => decode(unhex(raw)), name);
  },

  async ids() {
    const { realms, hashes, collections, key_digest, account, part, skips, signature } = await vectors('ids');
    for (const { name, id, birth_ms, entry_burst, entries_per_day, byte_burst, bytes_per_day } of realms) {
      const terms = [utf8(name), birth_ms, entry_burst, entries_per_day, byte_burst, bytes_per_day];
      same(await crypto.hash('realm', encode(terms)), id, name);
      const { birthMs, entryBurst, entriesPerDay, byteBurst, bytesPerDay, ...own } = { main: MAIN, test: TEST }[name];
      same([own.id, birthMs, entryBurst, entriesPerDay, byteBurst, bytesPerDay], [id, ...terms.slice(1)], name);
    }
    for (const { tag, input, output } of hashes) same(await crypto.hash(tag, unhex(input)), output, tag);
    for (const [name, id] of Object.entries(collections)) {
      same((await crypto.hash('coll', utf8(name))).slice(0, 16), id, name);
      same(COLLECTIONS[name] ?? id, id, name);
    }
    same(await crypto.keyDigest(key_digest.key), key_digest.digest, 'key digest');
    same([accountText(account.id), accountOf(account.text)], [account.text, account.id], 'account');
    const { raw, name } = await makePart(
      await openPart({ hash: part.hash, size: part.size }, unhex(part.raw)),
      part.salt,
    );
    same([hex(raw), name], [part.raw, { hash: part.hash, size: part.size }], 'part');
    same(
      skips.map((_, seq) => skipOf(seq)),
      skips,
      'skips',
    );
    const signer = await signerOf(await keysOfSeed(unhex(signature.seed)));
    same(signer.key, signature.key, 'key of a seed');
    same(hex(await crypto.sign({ ...TEST, id: signature.realm }, signer, signature.entry)), signature.sig, 'signature');
  },

  async signatures() {
    for (const { name, realm, key, entry, sig, good } of await vectors('signatures')) {
      same(await crypto.verify({ ...TEST, id: realm }, key, entry, unhex(sig)), good, name);
    }
  },

  async entries() {
    for (const { header, ops, sig, id, fields } of await vectors('entries')) {
      const { partBytes, ...entry } = await readEntry(TEST, unhex(header), unhex(ops));
      same(entry.id, id, 'id');
      for (const [name, value] of Object.entries(fields)) {
        const field = name === 'ops_hash' ? 'opsHash' : name;
        same(field === 'account' ? value || id : entry[field], field === 'account' ? entry.account : value, name);
      }
      const again = await makeEntry(TEST, { ...entry, account: fields.account }, unhex(ops), partBytes);
      same(hex(again.header), header, 'written again');
      if (sig) same(await crypto.verify(TEST, entry.writer, id, unhex(sig)), true, 'signature');
    }
  },

  async ops() {
    const { ops, verdicts, 'with deps': deps } = await vectors('ops');
    for (const { name, body } of ops) same(hex(writeBody(readBody(unhex(body)))), body, name);
    same(readBody(unhex(deps))?.length, 1, 'with deps');
    for (const { name, verdict, body } of verdicts) {
      if (verdict === 'reject') await refuses(() => readBody(unhex(body)), name);
      else same(readBody(unhex(body)) === null, verdict === 'void', name);
    }
  },

  async runs() {
    const { runs, rejected } = await vectors('runs');
    for (const { run, ids, first, log } of runs) {
      const { entries, skips } = await readRun(TEST, unhex(run));
      const [{ account, writer, log: number, seq }] = entries;
      same([[account, writer, number], seq, entries.map((entry) => entry.id)], [log, first, ids], 'run');
      const idAt = (place) => skips.find((skip) => skip.seq === place).id;
      same(hex(writeRun(entries, unhex(run.slice(-128)), idAt)), run, 'written again');
    }
    for (const { name, run } of rejected) await refuses(() => readRun(TEST, unhex(run)), name);
  },

  async joints() {
    for (const { name, control, held: below, run, verdict, length } of await vectors('joints')) {
      const account = new Account(TEST, control[0].id);
      for (const one of control) await account.addControl(signedControl(one), LATER_MS);
      await account.addRun(unhex(below), LATER_MS);
      const added = await account.addRun(unhex(run), LATER_MS).then(
        () => 'accept',
        (error) =>
          error instanceof Rejected ? 'reject' : error instanceof NotYet ? `not yet: ${error.reason}` : error,
      );
      same([added, account.state().heads.at(-1)?.length], [verdict, length], name);
    }
  },

  async limits() {
    for (const { name, granted_ms, seq, ms, total, within } of await vectors('limits')) {
      const header = { seq, time: BigInt(ms) << 16n, total };
      same(isWithinLimits(TEST, { grantedMs: granted_ms }, header), within, name);
    }
  },

  async checkpoints() {
    for (const { checkpoint, id, account, writer, n, control, pins, head_bytes } of await vectors('checkpoints')) {
      const read = await readCheckpoint(TEST, unhex(checkpoint));
      same([read.id, read.account, read.writer, read.n], [id, account, writer, n], 'checkpoint');
      same([read.control, read.pins.map(Object.values)], [{ seq: control[0], id: control[1] }, pins], 'what it says');
      same(hex(headBytes({ account, writer, log: 0, length: n, id, flag: false })), head_bytes, 'head');
      const bent = unhex(checkpoint);
      bent[bent.length - 100] ^= 1;
      await refuses(() => readCheckpoint(TEST, bent), 'a changed bit');
    }
  },

  forks: () => states('forks'),
  revocations: () => states('revocations'),

  async merges() {
    for (const { name, entries, registers, sets, counters, tombs } of await vectors('merges')) {
      const said = entries.map(({ id, time, ops }) => ({ id, time: BigInt(time), ops: readBody(unhex(ops)) ?? [] }));
      const place = new Map(said.map(({ id }, at) => [id, at]));
      for (const order of [said, said.toReversed(), [...said, ...said]]) {
        const cells = fold(order);
        const keyed = (map, what) =>
          Object.fromEntries([...map].map(([cell, value]) => [cell.split('/')[1], what(value)]).sort());
        const sorted = (wanted) => Object.fromEntries(Object.entries(wanted).sort());
        same(
          keyed(cells.registers, (live) => live.map(({ entry, op }) => [place.get(entry), op])),
          sorted(registers),
          name,
        );
        same(
          keyed(cells.sets, (elements) => [...elements.keys()].sort()),
          sorted(sets),
          name,
        );
        same(keyed(cells.counters, Number), sorted(counters), name);
        same([...cells.tombs].map((cell) => cell.split('/')[1]).sort(), [...tombs].sort(), name);
      }
    }
  },

  async digests() {
    const { heads, head_bytes, frontier_digest, empty_digest } = await vectors('digests');
    same(
      heads.map((one) => hex(headBytes(head(one)))),
      head_bytes,
      'head bytes',
    );
    same([await frontierDigest(heads.map(head)), await frontierDigest([])], [frontier_digest, empty_digest], 'digests');
  },

  async social() {
    const { salt, said } = await vectors('social');
    const known = said.filter(({ collection }) => collection in SHAPES);
    if (known.length < 9) throw new Error('the vectors have fewer posts, profiles and ties');
    for (const { name, collection, content, fields } of known) {
      const read = parse(SHAPES[collection], unhex(content), 3);
      const told = Object.fromEntries(Object.entries(read).filter(([, value]) => value !== null));
      const [root, parent] = fields.reply ?? [];
      same(told, root ? { ...fields, reply: { root, parent } } : fields, name);
      same(hex(format(SHAPES[collection], read)), content, `${name}: written again`);
    }
    const nothing = { registers: new Map(), sets: new Map() };
    const account = { salt: unhex(salt), state: () => ({ cells: nothing }) };
    const drafts = {
      profile: ({ field, value, media }) => write.draftProfile(account, field, value, media),
      reaction: (of) => write.draftReaction(account, `${of.account}/${of.key}`, of.emoji),
      repost: (of) => write.draftRepost(account, `${of.account}/${of.key}`),
      follow: (of) => write.draftFollow(account, of.account),
      block: (of) => write.draftFollow(account, of.account, 'block'),
    };
    for (const { name, collection, key, element, content, fields } of known) {
      if (!(collection in drafts)) continue;
      const draft = await drafts[collection](fields);
      same([draft.op.key, draft.op.elem ?? null, hex(draft.content)], [key, element, content], `${name}: as a draft`);
    }
  },

  async blobs() {
    const { period, blobs, small } = await vectors('blobs');
    for (const { size, root } of blobs) {
      const file = Uint8Array.from({ length: size }, (_, at) => at % period);
      same(await crypto.blobRoot(file), root, `${size} bytes`);
    }
    same(await crypto.blobRoot(unhex(small.bytes)), small.root, 'the small one');
  },

  async firehose() {
    const { frontier, stream, refused, events, lines, packed } = await vectors('firehose');
    const cursor = await readFrontierCursor(frontier.cursor);
    same([hex(cursor.raw), cursor.count], [frontier.raw, frontier.rows.length], 'a frontier cursor');
    const rows = frontier.rows.map(([account, writer, log, seq, id]) => ({ account, writer, log, seq, id }));
    for (const given of [rows, rows.toReversed()])
      same(hex((await readFrontierCursor(await writeFrontierCursor(given))).raw), frontier.raw, 'written again');
    for (const { log, rows: told } of frontier.told) {
      const places = await cursor.places({ account: log[0], writer: log[1], log: log[2] });
      same(places.map(Object.values), told, 'what it says of a log');
    }
    same((await readFrontierCursor(frontier.empty)).count, 0, 'an empty one');
    for (const { name, cursor: text } of frontier.refused) await refuses(() => readFrontierCursor(text), name);

    for (const size of [1, 100, 1 << 20]) {
      const told = await readStream(unhex(stream.bytes), size);
      const places = told.filter((one) => one.frontier === null && one.end === null);
      const shown = places.map(({ cursor: at, entries, unproved, acts }) => ({
        cursor: at,
        entries: entries.map(({ entry }) => entry.id),
        contents: entries.flatMap(({ entry, contents }) => [...contents].map(([op, raw]) => [entry.id, op, hex(raw)])),
        unproved,
        acts: acts.map(({ account, number, name, about, timeMs, said }) => [account, number, name, hex(about), timeMs, said]),
      }));
      same(shown, stream.told, 'a stream of signed entries');
      const named = told.find((one) => one.frontier !== null);
      same([named?.cursor, named?.frontier], stream.frontier, 'its frontier cursor');
      const last = told.at(-1);
      same([last?.cursor, last?.end?.why, last?.end?.message], stream.end, 'its end');
      same(told.flatMap((one) => one.entries).flatMap(eventsOf(told)), events.map(ofBytes), 'the same as events');
    }
    for (const { name, bytes } of refused)
      await readStream(unhex(bytes), 100).then(
        () => {
          throw new Error(`${name}: it was taken`);
        },
        (error) => {
          if (!(error instanceof Rejected || error instanceof NotYet)) throw error;
        },
      );

    const whole = lines.text.split('\n').slice(0, -1).map((line) => JSON.parse(line));
    same(whole.flatMap(({ id }) => id ?? []), lines.ids, 'lines that break off');
    same([whole.at(-1).cursor, whole.find(({ kind }) => kind === 'frontier').frontier], [lines.cursor, lines.frontier], 'cursors');
    same(packed.pieces.join('').split('\n').flatMap((line) => (line ? JSON.parse(line).id : [])), events.map(({ id }) => id), 'pieces');
  },

  async archives() {
    for (const { name, archive, frames, damaged_at, digest } of await vectors('archives')) {
      const read = await readFrames(unhex(archive));
      same([read.frames.map((frame) => frame.kind), read.damagedAt], [frames, damaged_at], name);
      const { isWhole, refused } = await readArchive(TEST, unhex(archive), LATER_MS);
      same([isWhole, refused], [digest !== null, []], `${name}: taken`);
    }
  },
};
