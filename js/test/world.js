/** An account of a person with a phone and a laptop, made by this client, for the tests. */
import { Account } from '../src/account.js';
import { unhex } from '../src/bytes.js';
import { TEST, hash, keyDigest, sign } from '../src/crypto.js';
import { makeEntry, skipOf } from '../src/entry.js';
import { generateKeys, signerOf } from '../src/keys.js';
import { writeBody } from '../src/ops.js';
import { append, createAccount, draftPost } from '../src/write.js';

export const NOW = Date.UTC(2026, 6, 1);
export const newSigner = async () => signerOf(await generateKeys());

export async function person() {
  const [root, next, phone] = [await newSigner(), await newSigner(), await newSigner()];
  const account = await createAccount(TEST, { root, next: await keyDigest(next.key), writer: phone.key }, NOW);
  return { account, root, next, phone };
}

/** Signs operations into the control log behind its last entry, and returns the entry as it travels. */
export async function rule(account, signer, ops, { declares = 0, time } = {}) {
  const { path } = account.state().control;
  const [last, seq, body] = [path.at(-1), path.length, writeBody(ops)];
  const links = { prev: last.id, skip: path[skipOf(seq)]?.id ?? null };
  const total = last.total + body.length + declares;
  const place = { account: account.id, writer: signer.key, log: 0, seq, ...links, time: time ?? last.time + 1n, total };
  const entry = await makeEntry(TEST, place, body, declares);
  const signed = { header: entry.header, sig: await sign(TEST, signer, entry.id), ops: body };
  await account.addControl(signed, NOW);
  return signed;
}

export const grant = (writer, more = {}) => ({
  ...{ op: 'grant', writer, first: 1, logs: 8, stratum: 8, colls: null, until: null, x25519: null },
  ...more,
});

/** Posts from a log, one second after the last post. */
export async function post(account, signer, text, log = 1) {
  const at = NOW + 1_000 * [...account.logs.values()].reduce((sum, held) => sum + held.size, 1);
  return append(account, signer, log, [await draftPost(account, { text }, at)], at);
}

/** What a second reader holds who was given all of it, but for what `hides` names. */
export async function given(account, hides = () => false) {
  const copy = new Account(TEST, account.id);
  for (const { header, sig, body } of account.control.values()) await copy.addControl({ header, sig, ops: body }, NOW);
  for (const [id, run] of account.runs) if (!hides(id)) await copy.addRun(run, NOW + 1e9);
  for (const { raw } of account.checkpoints.values()) await copy.addCheckpoint(raw);
  for (const { ref, raw } of account.parts.values()) if (!hides(ref.entry)) await copy.addPart(ref, raw);
  return copy;
}

export const texts = ({ posts }) => posts.map(({ text }) => text);
export const idOfCheckpoint = (unsigned) => hash('checkpoint', unhex(TEST.id), unsigned);
