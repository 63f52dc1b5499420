/** A backend in little: `node dist/sample.js URL TOKEN` opens two accounts, publishes, reads, and follows. */
import { connect, follow, isGenuine, publish, Refused, type Operation } from './index.js';

const [url = '', token = ''] = process.argv.slice(2);
const node = connect(url, token);

const made = await node.POST('/v1/accounts', { body: { name: 'mai', profile: { bio: 'phở' } } });
if (made.error) throw new Error(made.error.error);
const words: string | null | undefined = made.data.recovery_words;
const mai = made.data.account ?? '';
await node.POST('/v1/accounts', { body: { name: 'nam' } });

const operations: Operation[] = [
  { do: 'post', as: 'mai', text: 'Chào cả nhà!', lang: 'vi' },
  { do: 'follow', as: 'nam', account: mai },
  { do: 'profile.set', as: 'nam', fields: { bio: 'bún' } },
];
const uris: string[] = [];
for await (const row of publish(url, token, operations)) {
  if (row.status !== 200) throw new Error(`line ${row.line}: ${row.error}`);
  if (row.answer?.uri) uris.push(row.answer.uri);
}

const feed = await node.GET('/v1/accounts/{account}/feed', {
  params: { path: { account: mai }, query: { limit: 5 } },
});
const texts = feed.data?.posts.map((post) => post.text) ?? [];
const counts = await node.GET('/v1/accounts/{account}/counts', { params: { path: { account: mai } } });

const told: string[] = [];
for await (const event of follow(url, token, { since: 'begin', follow: false, collection: 'post,follow' }))
  told.push(`${event.kind} ${event.collection}`);

const wrong = await node.GET('/v1/posts/{account}/{key}', { params: { path: { account: mai, key: '0'.repeat(32) } } });
const refused = await publish(url, 'wrong', [{ do: 'post', text: '?' }])
  .next()
  .catch((error: unknown) => (error instanceof Refused ? error.status : null));
const forged = await isGenuine(new Headers({ 'webhook-timestamp': '1' }), new Uint8Array(), 'whsec_AAAA');

const found = { words: words?.split(' ').length, uris: uris.length, texts, followers: counts.data?.followers, told };
console.log(JSON.stringify({ ...found, wrong: wrong.error?.code, refused, forged }));
