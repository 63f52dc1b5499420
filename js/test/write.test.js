/** What this client writes, it reads. That a node reads it too, tests/js shows. */
import { test } from 'node:test';
import { readArchive, writeArchive } from '../src/archive.js';
import { accountText, hex } from '../src/bytes.js';
import { TEST } from '../src/crypto.js';
import { read } from '../src/social.js';
import * as write from '../src/write.js';
import { same } from './support.js';
import { NOW, given, person, post, texts } from './world.js';

test('all that a person says is read back, from an archive too', async () => {
  const { account, phone } = await person();
  const friend = await person();
  const me = accountText(account.id);
  const them = accountText(friend.account.id);
  const log = write.freshLog(account, phone.key);
  let at = NOW;
  const say = (...drafts) => write.append(account, phone, log, drafts, (at += 1_000));
  await say(await write.draftProfile(account, 'name', 'Lan'), await write.draftProfile(account, 'bio', 'phở'));
  await say(await write.draftPost(account, { text: 'Chào cả nhà', tags: ['chào'], lang: 'vi' }, at));
  const [{ uri }] = read(account).posts;
  await say(write.draftEdit(account, uri.split('/')[1], { text: 'Chào cả nhà!', created_ms: at }));
  await say(await write.draftPost(account, { text: 'gone soon' }, at));
  await say(write.draftDelete(read(account).posts[0].uri.split('/')[1]));
  await say(await write.draftReaction(account, uri, '🌳'), await write.draftRepost(account, uri));
  await say(await write.draftFollow(account, them), await write.draftFollow(account, me, 'block'));
  await say(write.undo(account, await write.draftFollow(account, me, 'block')));
  await say(await write.draftProfile(account, 'name', 'Lan Anh'));
  const person_ = read(account);
  same(person_.profile, { bio: 'phở', name: 'Lan Anh' }, 'profile');
  same(
    person_.posts.map((one) => [one.text, one.edited, one.uri, one.timeMs]),
    [['Chào cả nhà!', true, uri, NOW + 2_000]],
    'posts',
  );
  same(person_.reactions, [{ account: me, key: uri.split('/')[1], emoji: '🌳' }], 'reactions');
  same([person_.reposts, person_.follows, person_.blocks, person_.missing], [[uri], [them], [], 0], 'ties');
  const { accounts, isWhole } = await readArchive(TEST, await writeArchive(account), at);
  same([read(accounts.get(account.id)), isWhole], [person_, true], 'from an archive');
});

test('who changes only who may answer has edited nothing', async () => {
  const { account, phone } = await person();
  await post(account, phone, 'Chào');
  const { uri, created_ms } = read(account).posts[0];
  let at = NOW + 9_000;
  const edited = async (text, answers) => {
    const policy = answers && { answers, quotes: 'everybody', reposts: 'nobody' };
    const draft = write.draftEdit(account, uri.split('/')[1], { text, created_ms, policy });
    await write.append(account, phone, 1, [draft], (at += 1_000));
    return read(account).posts[0].edited;
  };
  for (const answers of ['nobody', 'followers', undefined]) same(await edited('Chào', answers), false, answers);
  same(await edited('Chào cả nhà'), true, 'another text');
  same(await edited('Chào cả nhà', 'nobody'), true, 'which was another before');
});

test('a hundred entries link and skip as a reader wants it, and come in any order of accounts', async () => {
  const { account, phone } = await person();
  for (let n = 0; n < 100; n += 1) await post(account, phone, `post ${n}`);
  const reader = await given(account);
  same(texts(read(reader)).length, 100, 'posts');
  same(reader.state().heads, account.state().heads, 'heads');
});

test('a writer goes on where it stopped, with time that rises although its clock went back', async () => {
  const { account, phone } = await person();
  await write.append(account, phone, 1, [await write.draftPost(account, { text: 'one' }, NOW + 9_000)], NOW + 9_000);
  await write.append(account, phone, 1, [await write.draftPost(account, { text: 'two' }, NOW)], NOW);
  same(account.state().heads.at(-1).length, 2, 'length');
});

test('strings are written in normal form C, and no longer than they may be', async () => {
  const { account, phone } = await person();
  await post(account, phone, 'phở'.normalize('NFD'));
  same(
    hex(new TextEncoder().encode(read(account).posts[0].text)),
    hex(new TextEncoder().encode('phở'.normalize('NFC'))),
    'text',
  );
  await write.draftPost(account, { text: 'x'.repeat(32_769) }, NOW).then(
    () => same('written', 'refused', 'a text of 32,769 bytes'),
    () => {},
  );
});

test('entries that are written at once stand one behind the other', async () => {
  const { account, phone } = await person();
  const drafts = await Promise.all([1, 2, 3].map((n) => write.draftPost(account, { text: `${n}` }, NOW + n)));
  await Promise.all(drafts.map((draft, n) => write.append(account, phone, 1, [draft], NOW + n + 1)));
  same([texts(read(account)), account.state().heads.at(-1).flag], [['3', '2', '1'], false], 'what is shown');
});
