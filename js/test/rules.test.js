/** Rules that neither the vectors nor random histories reach. */
import { test } from 'node:test';
import { Account } from '../src/account.js';
import { unhex } from '../src/bytes.js';
import { encode } from '../src/cbor.js';
import { TEST, sign } from '../src/crypto.js';
import { makeEntry } from '../src/entry.js';
import { makePart, openPart, writeBody } from '../src/ops.js';
import { writeRun } from '../src/signed.js';
import { append } from '../src/write.js';
import { refuses, same } from './support.js';
import { NOW, grant, idOfCheckpoint, newSigner, person, rule } from './world.js';

/** A copy of the control log alone. */
async function ofControl(account) {
  const copy = new Account(TEST, account.id);
  for (const { header, sig, body } of account.control.values()) await copy.addControl({ header, sig, ops: body }, NOW);
  return copy;
}

async function addCheckpoint(account, signer, control, pins = []) {
  const unsigned = [unhex(account.id), unhex(signer.key), 1, control, pins];
  const sig = await sign(TEST, signer, await idOfCheckpoint(encode(unsigned)));
  await account.addCheckpoint(encode([...unsigned, sig]));
}

/** Entries of a log that say nothing, one for each row of fields, under one signature. */
async function run(account, signer, rows) {
  const body = writeBody([]);
  const entries = [];
  for (const [seq, fields] of rows.entries()) {
    const links = { prev: entries.at(-1)?.id ?? null, skip: null };
    const place = { account: account.id, writer: signer.key, log: 1, seq, ...links, time: BigInt(NOW + seq) << 16n };
    entries.push(await makeEntry(TEST, { ...place, total: body.length * (seq + 1), ...fields }, body, 0));
  }
  const raw = writeRun(entries, await sign(TEST, signer, entries.at(-1).id), () => '');
  return { raw, id: entries.at(-1).id };
}

/** Two first entries of a log. */
async function forked(account, signer) {
  const [one, two] = [await run(account, signer, [{}]), await run(account, signer, [{ time: 1n }])];
  for (const { raw } of [one, two]) await account.addRun(raw, NOW);
  return one.id;
}

const headOf = (account, writer) => account.state().heads.find((head) => head.writer === writer && head.log === 1);

test('time rises within a run, also under a signature of the writer', async () => {
  const { account, phone } = await person();
  const good = await run(account, phone, [{}, {}]);
  await account.addRun(good.raw, NOW);
  const still = await run(account, phone, [{}, { time: BigInt(NOW) << 16n }]);
  await refuses(() => account.addRun(still.raw, NOW), 'the same time twice');
});

test('a part has the size that its operation says', async () => {
  const { raw, name } = await makePart(unhex('00'), '00'.repeat(16));
  await openPart(name, raw);
  await refuses(() => openPart({ ...name, size: name.size + 1 }, raw), 'another size');
});

test('an entry of a granted log that has a control operation is void', async () => {
  const { account, phone } = await person();
  const host = [{ op: { op: 'host', platform: account.id }, content: null }];
  const written = await append(account, phone, 1, host, NOW).catch((error) => error.message);
  same(written, 'the grant of this writer does not allow this entry', 'what is said');
});

test('a witness that was not cut breaks a tie, and one that was cut before it does not', async () => {
  for (const isCut of [false, true]) {
    const { account, root, phone } = await person();
    await rule(account, root, [
      isCut ? { op: 'cut', writer: phone.key, kept: [] } : { op: 'host', platform: account.id },
    ]);
    const copy = await ofControl(account);
    await rule(account, root, [{ op: 'host', platform: '01'.repeat(32) }]);
    const named = account.state().control.path.at(-1);
    await account.addControl(await rule(copy, root, [{ op: 'host', platform: '02'.repeat(32) }]), NOW);
    same(account.state().control.frozen, true, 'a tie');
    await addCheckpoint(account, phone, [named.seq, unhex(named.id)]);
    const { frozen, host } = account.state().control;
    same([frozen, host === '01'.repeat(32)], [isCut, !isCut], `cut: ${isCut}`);
  }
});

test('a pin before the grant pins nothing', async () => {
  for (const isBefore of [false, true]) {
    const { account, root } = await person();
    const laptop = await newSigner();
    const id = await forked(account, laptop);
    const pin = { op: 'pin', writer: laptop.key, log: 1, seq: 0, id };
    for (const op of isBefore ? [pin, grant(laptop.key)] : [grant(laptop.key), pin]) await rule(account, root, [op]);
    const { length, flag } = headOf(account, laptop.key);
    same([length, flag], isBefore ? [0, true] : [1, false], `before: ${isBefore}`);
  }
});

test('the checkpoint of a notary pins, until the notary is cut', async () => {
  const { account, root, phone } = await person();
  const notary = await newSigner();
  await rule(account, root, [grant(notary.key, { stratum: 1 })]);
  const id = await forked(account, phone);
  same(headOf(account, phone.key).length, 0, 'a fork');
  await addCheckpoint(account, notary, [0, unhex(account.id)], [[unhex(phone.key), 1, 0, unhex(id)]]);
  same(headOf(account, phone.key).id, id, 'pinned');
  await rule(account, root, [{ op: 'cut', writer: notary.key, kept: [] }]);
  same(headOf(account, phone.key).length, 0, 'cut');
});
