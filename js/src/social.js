/**
 * What people say (section 10): the content of profiles, posts, reactions, reposts, follows, blocks and pins; and an
 * account as a page shows it. Accounts and posts are texts here: `did:banyan:z...` and `did:banyan:z.../<key in hexadecimal>`.
 *
 * @import { Account } from './account.js'
 * @import { Bytes } from './bytes.js'
 * @import { Live } from './cells.js'
 * @import { Op, Ref } from './ops.js'
 * @import { Of, Shape } from './shape.js'
 *
 * @typedef {Of<typeof POST>} Post
 *
 * @typedef {object} Placed where a post stands
 * @property {string} uri
 * @property {string} place by which timelines are ordered: its time, account and key
 * @property {number} timeMs when it was written, as its author claims: never later than its entry
 * @property {boolean} edited
 * @property {string} entry the id of the entry that shows
 *
 * @typedef {object} Person what an account says
 * @property {string} account
 * @property {boolean} closed nothing of it counts any more
 * @property {boolean} frozen two keys of one strength disagree, so what they say after that does not count
 * @property {string | null} host the account of the platform that hosts it
 * @property {Record<string, string>} profile
 * @property {Record<string, any>} pictures of the profile, by `avatar` and `banner`
 * @property {(Post & Placed)[]} posts the newest first
 * @property {Of<typeof REACTION>[]} reactions
 * @property {string[]} reposts
 * @property {string[]} follows
 * @property {string[]} blocks
 * @property {string[]} pinned its posts that it pins to its profile
 * @property {number} missing how many things it says of which the content is not held, or cannot be read
 * @property {string[]} lacking entries that signatures of the account name, and that are not held: they were kept back
 */
import { Rejected, accountOf, accountText, bigEndian, hex } from './bytes.js';
import { laterFirst } from './cells.js';
import { refName } from './ops.js';
import { choice, format, id, list, maybe, parse, record, string, u64 } from './shape.js';

export const COLLECTIONS = {
  profile: '4ea9c2f2b1719708',
  post: 'cc9377c1a042b00c',
  reaction: '8f368c84818c0fc4',
  repost: '1efa58717c406a05',
  follow: '271df033e1e07a8c',
  block: '60e7b72e1a42f60b',
  pinned: 'a300f6869b2389d6',
};
const MAX_DEPTH = 3;

/** @type {Shape<string>} */
const did = { read: (value) => accountText(id(32).read(value)), write: (text) => id(32).write(accountOf(text)) };
const pair = record({ account: did, key: id(16) });
/** @param {string} uri @returns {{ account: string, key: string }} */
export function addressParts(uri) {
  const [account, key] = uri.split('/');
  if (!/^[0-9a-f]{32}$/.test(key)) throw new Rejected(`no post: ${uri.slice(0, 120)}`);
  return { account, key };
}

/** @type {Shape<string>} */
const address = {
  read(value) {
    const { account, key } = pair.read(value);
    return `${account}/${key}`;
  },
  write: (text) => pair.write(addressParts(text)),
};
const MEDIA = record(
  {
    blob: id(32),
    size: u64,
    type: string(128),
    width: maybe(u64),
    height: maybe(u64),
    duration_ms: maybe(u64),
    description: maybe(string(8_192)),
    blurhash: maybe(string(128)),
    preview: maybe(id(32)),
  },
  {},
);
const POLL = record({ options: list(string(512), 20, 2), choices: choice('one', 'several'), closes_ms: u64 }, {});
const WHO = choice('everybody', 'followers', 'mentioned', 'nobody');
const POST = record(
  {
    text: string(32_768),
    reply: maybe(record({ root: address, parent: address })),
    quote: maybe(address),
    lang: maybe(string(35)),
    created_ms: maybe(u64),
  },
  {
    warning: string(1_024),
    audience: choice('public', 'unlisted'),
    tags: list(string(128), 32, 1),
    mentions: list(did, 10, 1),
    media: list(MEDIA, 64, 1),
    poll: POLL,
    group: address,
    urgency: choice('normal', 'urgent'),
    policy: record({ answers: WHO, quotes: WHO, reposts: WHO }, {}),
  },
);
const REACTION = record({ account: did, key: id(16), emoji: string(64) }, {});
const TARGET = record({ account: did, key: id(16) }, {});
const RELATION = record({ account: did }, {});
const PINNED = record({ key: id(16) }, {});
export const SHAPES = {
  profile: record({ field: string(64), value: string(4_096) }, { media: MEDIA }),
  post: POST,
  reaction: REACTION,
  repost: TARGET,
  follow: RELATION,
  block: RELATION,
  pinned: PINNED,
};

/**
 * Content, or null if it is not held or not of this shape.
 *
 * @template T @param {Shape<T>} shape @param {Bytes | undefined} content @returns {T | null}
 */
export function readContent(shape, content) {
  try {
    return content ? parse(shape, content, MAX_DEPTH) : null;
  } catch (error) {
    if (error instanceof Rejected) return null;
    throw error;
  }
}

/** Content that is of this shape. @template T @param {Shape<T>} shape @param {T} said @returns {Bytes} */
export function writeContent(shape, said) {
  const content = format(shape, said);
  parse(shape, content, MAX_DEPTH);
  return content;
}

/** @param {Post} said */
const plain = (said) => hex(writeContent(POST, { ...said, policy: undefined }));

/** What an account says. @param {Account} account @returns {Person} */
export function read(account) {
  const { control, cells, lacking } = account.state();
  const { registers, sets } = cells;
  let missing = 0;
  /** @template T @param {Shape<T>} shape @param {Live[]} candidates @returns {{ at: Live, said: T } | null} */
  const show = (shape, candidates) => {
    for (const at of candidates) {
      const said = readContent(shape, account.parts.get(refName(at))?.content);
      if (said !== null) return { at, said };
    }
    missing += 1;
    return null;
  };
  /** @param {string} coll @param {Iterable<string>} names */
  const cellsOf = (coll, names) => [...names].filter((name) => name.startsWith(coll));
  /** The later write first. @template T @param {string} coll @param {Shape<T>} shape */
  const shownRegisters = (coll, shape) =>
    cellsOf(coll, registers.keys())
      .map((name) => show(shape, (registers.get(name) ?? []).slice(0, 1)))
      .filter((one) => one !== null)
      .sort((a, b) => laterFirst(a.at, b.at));
  /** @template T @param {string} coll @param {Shape<T>} shape */
  const shownElements = (coll, shape) =>
    cellsOf(coll, sets.keys())
      .flatMap((name) => [...(sets.get(name)?.values() ?? [])].map((adds) => show(shape, adds)))
      .flatMap((one) => (one ? [one.said] : []));
  /** Whether a write before said something else: who may answer, quote and repost is not counted among it.
   * @param {Post} said @param {Ref[]} refs @returns {boolean} */
  const isEdited = (said, refs) => {
    const ref = refs.at(-1);
    if (!ref) return false;
    const before = readContent(POST, account.parts.get(refName(ref))?.content);
    const what = cells.placed.get(refName(ref))?.what;
    const isSame = before !== null && plain(before) === plain(said) && what?.op === 'put';
    return !isSame || isEdited(said, what.refs);
  };
  const posts = shownRegisters(COLLECTIONS.post, POST).map(({ at, said }) => {
    const claimed = said.created_ms == null ? at.time : BigInt(said.created_ms) << 16n;
    const stands = claimed < at.time ? claimed : at.time;
    const { key, refs } = /** @type {Extract<Op, { op: 'put' }>} */ (at.what);
    const uri = `${accountText(account.id)}/${key}`;
    const place = hex(bigEndian(stands, 8)) + account.id + key;
    return { ...said, uri, place, timeMs: Number(stands >> 16n), edited: isEdited(said, refs), entry: at.entry };
  });
  const fields = shownRegisters(COLLECTIONS.profile, SHAPES.profile)
    .reverse()
    .map(({ said }) => said);
  return {
    account: accountText(account.id),
    closed: control.closed,
    frozen: control.frozen,
    host: control.host && accountText(control.host),
    profile: Object.fromEntries(fields.filter((said) => !said.media).map((said) => [said.field, said.value])),
    pictures: Object.fromEntries(fields.flatMap((said) => (said.media ? [[said.field, said.media]] : []))),
    posts: posts.sort((a, b) => (a.place > b.place ? -1 : 1)),
    reactions: shownElements(COLLECTIONS.reaction, REACTION),
    reposts: shownElements(COLLECTIONS.repost, TARGET).map((post) => `${post.account}/${post.key}`),
    follows: shownElements(COLLECTIONS.follow, RELATION).map((one) => one.account),
    blocks: shownElements(COLLECTIONS.block, RELATION).map((one) => one.account),
    pinned: shownElements(COLLECTIONS.pinned, PINNED).map((one) => `${accountText(account.id)}/${one.key}`),
    missing,
    lacking,
  };
}
