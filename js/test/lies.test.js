/** What a node could try, and what its reader sees then. */
import { test } from 'node:test';
import { readArchive, writeArchive } from '../src/archive.js';
import { NotYet, accountOf, accountText, bigEndian, concat, unhex } from '../src/bytes.js';
import { decode, encode } from '../src/cbor.js';
import { MAIN, TEST, sha256, sign } from '../src/crypto.js';
import { makeEntry } from '../src/entry.js';
import { makePart, writeBody } from '../src/ops.js';
import { frontierDigest } from '../src/logs.js';
import { writeRun } from '../src/signed.js';
import { format } from '../src/shape.js';
import { SHAPES, read } from '../src/social.js';
import { append, draftEdit, draftPost, draftProfile } from '../src/write.js';
import { refuses, same, throws } from './support.js';
import { NOW, given, grant, idOfCheckpoint, newSigner, person, post, rule, texts } from './world.js';

test('a text that was altered is not the text of the post', async () => {
  const { account, phone } = await person();
  const id = await post(account, phone, 'Phở is better in Hà Nội');
  const reader = await given(account, (entry) => entry === id);
  await reader.addRun(account.runs.get(id), NOW + 1e9);
  const forged = await makePart(unhex('8541' + '78' + 'f6f6f6f6'), '00'.repeat(16));
  await refuses(() => reader.addPart({ entry: id, op: 0 }, forged.raw), 'another text');
  same([texts(read(reader)), read(reader).missing], [[], 1], 'what is shown');
});

test('no bit of a run can be changed', async () => {
  const { account, phone } = await person();
  const run = account.runs.get(await post(account, phone, 'one'));
  for (let at = 0; at < run.length; at += 1) {
    const bent = run.slice();
    bent[at] ^= 1 << (at % 8);
    const reader = await given(account, () => true);
    await refuses(() => reader.addRun(bent, NOW + 1e9), `byte ${at}`);
  }
});

test('what a stranger signs in the name of the account does not count', async () => {
  const { account, phone } = await person();
  await post(account, phone, 'mine');
  const [stranger, elsewhere] = [await newSigner(), await person()];
  await rule(elsewhere.account, elsewhere.root, [grant(stranger.key)]);
  const draft = await draftPost(account, { text: 'forged' }, NOW);
  const part = await makePart(draft.content, '00'.repeat(16));
  const body = writeBody([{ ...draft.op, part: part.name }]);
  const place = {
    account: account.id,
    writer: stranger.key,
    log: 1,
    seq: 0,
    prev: null,
    skip: null,
    time: BigInt(NOW) << 16n,
  };
  const entry = await makeEntry(TEST, { ...place, total: body.length + part.raw.length }, body, part.raw.length);
  await account.addRun(
    writeRun([entry], await sign(TEST, stranger, entry.id), () => ''),
    NOW,
  );
  await account.addPart({ entry: entry.id, op: 0 }, part.raw);
  same(texts(read(account)), ['mine'], 'what is shown');
  const lent = await makeEntry(
    TEST,
    { ...place, writer: phone.key, total: body.length + part.raw.length },
    body,
    part.raw.length,
  );
  const forged = writeRun([lent], await sign(TEST, stranger, lent.id), () => '');
  await refuses(() => account.addRun(forged, NOW), "the stranger's signature under the phone's name");
});

test('nobody passes off what one account says as what another does', async () => {
  const [one, two] = [await person(), await person()];
  const run = one.account.runs.get(await post(one.account, one.phone, 'of one'));
  await refuses(() => two.account.addRun(run, NOW + 1e9), 'a run of another account');
  const inception = one.account.control.get(one.account.id);
  const travels = { header: inception.header, sig: inception.sig, ops: inception.body };
  await refuses(() => two.account.addControl(travels, NOW), 'the inception of another account');
});

test('an id that was mistyped is refused, or is that of another account', async () => {
  const { account } = await person();
  const text = accountText(account.id);
  same(accountOf(text), account.id, 'the id');
  const bad = [
    `${text}11`,
    text.replace(':z', ':f'),
    text.replace(/.$/, '0'),
    text.toUpperCase(),
    `${text} `,
    text.slice(0, 12),
    '',
  ];
  for (const one of bad) await refuses(() => accountOf(one), one);
  const other = text.replace(/.$/, (last) => (last === '2' ? '3' : '2'));
  same(accountOf(other) === account.id, false, 'another letter at the end');
});

test('a device that was cut off is not heard after the cut', async () => {
  const { account, root, phone } = await person();
  const kept = await post(account, phone, 'before');
  await rule(account, root, [{ op: 'cut', writer: phone.key, kept: [{ log: 1, seq: 0, id: kept }] }]);
  same(texts(read(account)), ['before'], 'what is shown');
  const draft = await draftPost(account, { text: 'after' }, NOW + 5_000);
  await append(account, phone, 1, [draft], NOW + 5_000).then(
    () => same('written', 'refused', 'a write after the cut'),
    (error) => same(/may not write/.test(error.message), true, error.message),
  );
});

test('what a device wrote before it was cut off, and nobody kept, does not count either', async () => {
  const { account, root, phone } = await person();
  const kept = await post(account, phone, 'one');
  await post(account, phone, 'two, by a thief');
  await rule(account, root, [{ op: 'cut', writer: phone.key, kept: [{ log: 1, seq: 0, id: kept }] }]);
  same(texts(read(account)), ['one'], 'what is shown');
});

test('two entries in one place stop the log there, in whatever order they come', async () => {
  const { account, phone } = await person();
  const first = await post(account, phone, 'first');
  const copy = await given(account);
  await post(account, phone, 'on the phone');
  await post(copy, phone, 'on its clone');
  for (const run of copy.runs.values()) await account.addRun(run, NOW + 1e9);
  same(texts(read(account)), ['first'], 'what is shown');
  same(
    account.state().heads.at(-1),
    { account: account.id, writer: phone.key, log: 1, length: 1, id: first, flag: true },
    'head',
  );
});

test('a hidden edit is not seen without a signature that names it', async () => {
  const { account, phone } = await person();
  await post(account, phone, 'as it was');
  const [{ uri }] = read(account).posts;
  const edit = await append(
    account,
    phone,
    1,
    [draftEdit(account, uri.split('/')[1], { text: 'as it is' })],
    NOW + 9_000,
  );
  same([texts(read(account)), read(account).posts[0].edited], [['as it is'], true], 'all of it');
  const reader = await given(account, (id) => id === edit);
  same([texts(read(reader)), read(reader).lacking], [['as it was'], []], 'without the edit');
  const digests = await Promise.all([account, reader].map((one) => frontierDigest(one.state().heads)));
  same(digests[0] === digests[1], false, 'the digests');
});

test('a hidden entry that a checkpoint of the root pins is missed', async () => {
  const { account, root, phone } = await person();
  await post(account, phone, 'as it was');
  const second = await post(account, phone, 'what is hidden');
  const pins = [[unhex(phone.key), 1, 1, unhex(second)]];
  const unsigned = [unhex(account.id), unhex(root.key), 1, [0, unhex(account.id)], pins];
  const sig = await sign(TEST, root, await idOfCheckpoint(encode(unsigned)));
  await account.addCheckpoint(encode([...unsigned, sig]));
  same(read(account).lacking, [], 'all of it');
  same(read(await given(account, (id) => id === second)).lacking, [second], 'without the second post');
});

test('a closed account shows nothing', async () => {
  const { account, root, phone } = await person();
  await post(account, phone, 'one');
  await rule(account, root, [{ op: 'close' }]);
  same([texts(read(account)), read(account).closed], [[], true], 'what is shown');
});

test('a device does not speak outside the collections of its grant', async () => {
  const { account, root } = await person();
  const laptop = await newSigner();
  await rule(account, root, [grant(laptop.key, { colls: ['0'.repeat(16)] })]);
  const draft = await draftPost(account, { text: 'x' }, NOW);
  await append(account, laptop, 1, [draft], NOW).then(
    () => same('written', 'refused', 'a post'),
    (error) => same(/does not allow/.test(error.message), true, error.message),
  );
});

test('an archive from which something was taken is not whole', async () => {
  const { account, phone } = await person();
  await post(account, phone, 'one');
  await post(account, phone, 'two');
  const file = await writeArchive(account);
  const whole = await readArchive(TEST, file, NOW + 1e9);
  same([whole.isWhole, whole.refused, whole.damagedAt], [true, [], null], 'whole');
  const frames = [];
  for (let at = 0; at < file.length; at += frames.at(-1).length) {
    frames.push(file.slice(at, at + 36 + new DataView(file.buffer).getUint32(at)));
  }
  const runs = frames.filter((frame) => decode(frame.slice(36))[0] === 2);
  const without = await readArchive(TEST, concat(...frames.filter((frame) => frame !== runs[1])), NOW + 1e9);
  same([texts(read(without.accounts.get(account.id))), without.isWhole], [['one'], false], 'without the second run');
  const cut = await readArchive(TEST, file.slice(0, -1), NOW + 1e9);
  same(cut.isWhole, false, 'without its last byte');
  file[file.length - 1] ^= 1;
  same((await readArchive(TEST, file, NOW + 1e9)).isWhole, false, 'with a byte changed');
});

test('operations that the header does not name are refused, although the header is signed', async () => {
  const { account, root, phone } = await person();
  const signed = await rule(account, root, [{ op: 'cut', writer: phone.key, kept: [] }]);
  const other = writeBody([{ op: 'cut', writer: root.key, kept: [] }]);
  await refuses(() => account.addControl({ ...signed, ops: other }, NOW), 'other operations');
});

test('a text of the same length is not the text of the post either', async () => {
  const { account, phone } = await person();
  const id = await post(account, phone, 'Phở');
  const { raw } = account.parts.get(`${id}/0`);
  const bent = raw.slice();
  bent[bent.indexOf('P'.charCodeAt(0), 18)] = 'G'.charCodeAt(0);
  await refuses(() => account.addPart({ entry: id, op: 0 }, bent), 'a letter changed');
  await refuses(() => account.addPart({ entry: id, op: 1 }, raw), 'content of no operation');
});

test('what is dated ahead waits, and shows no later than it was written', async () => {
  const { account, root, phone } = await person();
  await append(account, phone, 1, [await draftPost(account, { text: 'soon', created_ms: NOW + 9e9 }, NOW)], NOW);
  same(read(account).posts[0].timeMs, NOW, 'time');
  const [run] = account.runs.values();
  const reader = await given(account, () => true);
  await throws(() => reader.addRun(run, NOW - 301_000), NotYet, 'a run from the future');
  const late = { time: BigInt(NOW + 301_000) << 16n };
  await throws(() => rule(account, root, [{ op: 'close' }], late), NotYet, 'a control entry from the future');
});

test('a control log that is full takes what revokes, and nothing else', async () => {
  const { account, root, phone } = await person();
  const host = [{ op: 'host', platform: account.id }];
  const most = { declares: 65_536 };
  for (let n = 0; n < 7; n += 1) await rule(account, root, host, most);
  await rule(account, root, host, most);
  same(account.state().control.path.length, 8, 'what would be above 512 KiB');
  await rule(account, root, [{ op: 'cut', writer: phone.key, kept: [] }], most);
  same(account.state().control.path.length, 9, 'the cut');
});

test('of two writes at once the later one shows, and nothing shows while its content is held back', async () => {
  const { account, phone } = await person();
  const name = await draftProfile(account, 'name', 'Lan');
  await append(account, phone, 1, [name], NOW);
  const later = await append(
    account,
    phone,
    2,
    [{ ...name, content: format(SHAPES.profile, { field: 'name', value: 'Lan Anh' }) }],
    NOW + 1,
  );
  same(read(account).profile, { name: 'Lan Anh' }, 'both');
  const reader = await given(account, (id) => id === later);
  await reader.addRun(account.runs.get(later), NOW + 1e9);
  same([read(reader).profile, read(reader).missing], [{}, 1], 'without the content of the later one');
});

test('an archive of another realm is refused, and one with a digest of something else is not whole', async () => {
  const { account, phone } = await person();
  await post(account, phone, 'one');
  const file = await writeArchive(account);
  await refuses(() => readArchive(MAIN, file, NOW + 1e9), 'another realm');
  const end = encode([5, new Uint8Array(0), new Uint8Array(32)]);
  const bent = concat(file.slice(0, -end.length - 36), bigEndian(end.length, 4), await sha256(end), end);
  const read = await readArchive(TEST, bent, NOW + 1e9);
  same([read.refused, read.damagedAt, read.isWhole], [[], null, false], 'another digest');
});
