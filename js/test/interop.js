/** For tests/js: reads and writes archives, and prints what they say as JSON. */
import { readFile, writeFile } from 'node:fs/promises';
import * as banyan from '../index.js';

const { MAIN, accountText, frontierDigest, read } = banyan;
const file = async (path) => new Uint8Array(await readFile(path));
const print = (what) => console.log(JSON.stringify(what, (_, one) => (typeof one === 'bigint' ? String(one) : one)));
const signerOf = async (seed) => banyan.signerOf(await banyan.keysOfSeed(new Uint8Array(Buffer.from(seed, 'hex'))));

const commands = {
  async key(seed) {
    print({ key: (await signerOf(seed)).key });
  },

  async read(path) {
    const { accounts, isWhole, refused } = await banyan.readArchive(MAIN, await file(path));
    const [account] = accounts.values();
    const { profile, posts, follows, reposts, pinned, reactions } = read(account);
    const rows = posts.map((post) => [
      post.uri,
      post.text,
      post.timeMs,
      post.edited,
      post.reply?.parent ?? null,
      post.warning ?? null,
    ]);
    const digest = await frontierDigest(account.state().heads);
    const reacted = reactions.map((one) => [`${one.account}/${one.key}`, one.emoji]);
    print({ profile, posts: rows, follows, reposts, pinned, reactions: reacted, digest, whole: isWhole, refused });
  },

  async prove(path, uri) {
    const { post, ...rest } = await banyan.readProof(MAIN, await file(path), uri).catch((error) => {
      if (!(error instanceof banyan.Rejected || error instanceof banyan.NotYet)) throw error;
      return { post: null, why: error.message };
    });
    print({ text: post?.text ?? null, ...rest });
  },

  async write(path) {
    const [root, next, phone] = await Promise.all(['01', '02', '03'].map((byte) => signerOf(byte.repeat(32))));
    const account = await banyan.createAccount(MAIN, {
      root,
      next: await banyan.keyDigest(next.key),
      writer: phone.key,
    });
    const log = banyan.freshLog(account, phone.key);
    const say = (...drafts) => banyan.append(account, phone, log, drafts);
    await say(await banyan.draftProfile(account, 'name', 'Lan'), await banyan.draftProfile(account, 'bio', 'phở'));
    await say(await banyan.draftPost(account, { text: 'Chào', lang: 'vi' }));
    const [first] = read(account).posts;
    await say(
      banyan.draftEdit(account, first.uri.split('/')[1], {
        text: 'Chào cả nhà',
        created_ms: first.created_ms,
        lang: 'vi',
      }),
    );
    await new Promise((resolve) => setTimeout(resolve, 5));
    await say(await banyan.draftPost(account, { text: 'second' }));
    await say(
      await banyan.draftReaction(account, first.uri, '🌳'),
      await banyan.draftFollow(account, accountText('07'.repeat(32))),
    );
    await writeFile(path, await banyan.writeArchive(account));
    const { profile, posts } = read(account);
    const rows = posts.map((post) => [post.uri, post.text, post.edited, post.lang]);
    const digest = await frontierDigest(account.state().heads);
    print({ account: accountText(account.id), profile, posts: rows, digest });
  },

  async post(from, to, seed, text) {
    const [account] = (await banyan.readArchive(MAIN, await file(from))).accounts.values();
    const signer = await signerOf(seed);
    await banyan.append(account, signer, banyan.freshLog(account, signer.key), [
      await banyan.draftPost(account, { text }),
    ]);
    await writeFile(to, await banyan.writeArchive(account));
    print({});
  },
};

const [command, ...rest] = process.argv.slice(2);
await commands[command](...rest);
