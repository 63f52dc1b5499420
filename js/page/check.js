/**
 * Compares what the page shows with what was signed. It reads what a person reads, the elements of the page, and not
 * what the node says beside it; and it shows the time that was signed in the place of the one that came.
 *
 * @import { Checked, Failed, Signed } from './worker.js'
 * @typedef {'good' | 'bad' | 'unsure'} Verdict
 */
import { words, filled } from './words.js';

/** @param {string} tag @param {string} [text] @param {string} [className] */
export function element(tag, text = '', className = '') {
  const made = document.createElement(tag);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

const UNREADABLE = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\ufdd0-\ufdef\ufffe\uffff]/g;

/** What the page shows of a text: see banyan_web/page/formats.py. @param {string | null | undefined} said */
export const readable = (said) => (said ?? '').replaceAll('\r\n', '\n').toWellFormed().replace(UNREADABLE, '\ufffd');

/** @param {Element} post @param {string} selector of elements of this post, and not of one in it */
const own = (post, selector) => [...post.querySelectorAll(selector)].filter((one) => one.closest('article') === post);

/** @param {Element} post @param {string} selector */
const said = (post, selector) => own(post, selector)[0]?.textContent ?? '';

/** @param {Element} post @param {string} selector */
const linkOf = (post, selector) => own(post, selector)[0]?.getAttribute('href') ?? '';

/** The page of a post. @param {string | null | undefined} uri */
const pathOf = (uri) => (uri ? uri.replace('did:banyan:', '/@') : '');

/** The key of the first thing that differs, or null. @param {Element} post @param {Signed} signed @param {string} name */
export function difference(post, signed, name) {
  if (said(post, '.text') !== readable(signed.text)) return 'text';
  const unnamed = `${own(post, '.author')[0]?.getAttribute('href')?.slice(2, 12)}…`;
  if (said(post, '.author .name') !== (readable(name) || unnamed)) return 'name';
  const warning = said(post, '.warned > summary .why');
  // Without one the page may have a warning of the reader's own filter.
  if (signed.warning && warning !== readable(signed.warning)) return 'warning';
  if (linkOf(post, '.answers') !== pathOf(signed.reply?.parent)) return 'reply';
  if (linkOf(post, '.quote a') !== pathOf(signed.quote)) return 'quote';
  const items = (signed.media ?? []).filter((item) => item.type !== 'text/vtt');
  const figures = own(post, 'figure');
  const isSame = items.length === figures.length && items.every((item, n) => isShown(figures[n], item));
  if (!isSame) return 'media';
  const options = own(post, '.option').map((one) => one.textContent);
  if (options.join('\n') !== (signed.poll?.options ?? []).map(readable).join('\n')) return 'poll';
  if (own(post, '.edited').length > 0 !== signed.edited) return 'edited';
  return null;
}

/** @param {Element} figure @param {NonNullable<Signed['media']>[number]} item */
function isShown(figure, item) {
  const names = [item.blob, item.preview].filter((name) => name != null);
  const sources = [...figure.querySelectorAll('img, video, audio')].map((one) => one.getAttribute('src') ?? '');
  const links = [...figure.querySelectorAll('a')].map((one) => one.getAttribute('href') ?? '');
  const isNamed = [...sources, ...links].every((path) => names.some((name) => path === `/media/${name}`));
  return isNamed && (figure.querySelector('.alt')?.textContent ?? '') === readable(item.description);
}

/** @param {Element} post @param {Checked | Failed} found @returns {{ verdict: Verdict, why: string, signed?: Signed }} */
function judged(post, found) {
  if ('why' in found) return { verdict: 'unsure', why: filled(words[found.why], { mib: 16 }) };
  const signed = found.posts[/** @type {HTMLElement} */ (post).dataset.uri ?? ''];
  if (!signed && found.missing) return { verdict: 'unsure', why: words.content };
  if (!signed) return { verdict: 'bad', why: words.noPost };
  const differs = difference(post, signed, found.name);
  if (differs) return { verdict: 'bad', why: words[differs], signed };
  return { verdict: 'good', why: found.name || words.nameless, signed };
}

/** What stands under a post: the verdict in words, and behind it the proof. @param {Verdict} verdict @param {string} title @param {Signed | undefined} signed @param {boolean} open */
function panel(verdict, title, signed, open) {
  const details = /** @type {HTMLDetailsElement} */ (element('details', '', `proof ${verdict}`));
  const sign = { good: '✓ ', bad: '✗ ', unsure: '? ' }[verdict];
  details.append(element('summary', sign + title));
  details.open = open;
  const proof = signed?.evidence;
  if (!signed || !proof) return details;
  const isItself = proof.signedEntry === proof.entry;
  const rows = [
    ...(open ? [[words.signedText, signed.text]] : []),
    [words.account, signed.uri.split('/')[0]],
    [words.writer, proof.writer],
    [words.entry, proof.entry],
    [words.place, `${proof.log} / ${proof.seq}`],
    [words.time, new Date(proof.timeMs).toISOString()],
    [words.previous, proof.prev ?? '—'],
    [words.operations, proof.opsHash],
    [words.header, proof.header],
    [words.signs, isItself ? words.itself : filled(words.later, { seq: proof.signedSeq })],
    [words.signature, proof.sig],
  ];
  const list = element('dl');
  for (const [name, value] of rows) {
    const row = element('div');
    row.append(element('dt', name), element('dd', value));
    list.append(row);
  }
  details.append(list, element('p', words.limits, 'dim'));
  return details;
}

/** @param {Element} post @param {Checked | Failed} found @returns {Verdict} */
function mark(post, found) {
  const { verdict, why, signed } = judged(post, found);
  const title = filled(words[verdict], { name: readable(why), why });
  post.append(panel(verdict, title, signed, verdict === 'bad'));
  post.classList.toggle('lied', verdict === 'bad');
  const time = own(post, '.when time')[0];
  if (signed && time instanceof HTMLTimeElement) {
    time.dateTime = new Date(signed.timeMs).toISOString();
    time.textContent = localTime(signed.timeMs);
  }
  return verdict;
}

/** A time as the reader's clock has it; of today without the date. @param {number} ms */
export function localTime(ms) {
  const isToday = new Date(ms).toDateString() === new Date().toDateString();
  /** @type {Intl.DateTimeFormatOptions} */
  const style = { timeStyle: 'short', ...(isToday ? {} : { dateStyle: 'medium' }) };
  return new Intl.DateTimeFormat(document.documentElement.lang, style).format(ms);
}

const counts = { good: 0, bad: 0, unsure: 0 };
/** @type {Worker | null} */
let worker = null;

function tellSum() {
  const sum = document.getElementById('check-sum');
  const all = counts.good + counts.bad + counts.unsure;
  const isGood = counts.good === all;
  if (sum) sum.textContent = all ? filled(isGood ? words.allGood : words.sum, { all, ...counts }) : '';
  if (sum) sum.hidden = all === 0;
}

/** Counts a checked post no more. @param {HTMLElement} post */
export function forget(post) {
  const { verdict } = post.dataset;
  if (verdict !== 'good' && verdict !== 'bad' && verdict !== 'unsure') return;
  delete post.dataset.verdict;
  counts[verdict] -= 1;
  tellSum();
}

/** Checks the posts of the page that are not checked yet, and the profile on it. @returns {Promise<void>} */
export async function checkPage() {
  /** @type {Map<string, HTMLElement[]>} */
  const byAuthor = new Map();
  for (const post of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll('article[data-uri]:not([data-checking])'))) {
    // The author that a person sees is the one behind the link, whatever the attribute says.
    const [link] = own(post, '.author');
    const did = `did:banyan:${link?.getAttribute('href')?.replace('/@', '')}`;
    post.dataset.checking = '';
    const whole = post.dataset.uri?.startsWith(`${did}/`) ? did : '';
    byAuthor.set(whole, [...(byAuthor.get(whole) ?? []), post]);
  }
  const profile = /** @type {HTMLElement | null} */ (document.querySelector('.profile[data-did]:not(:has(> .proof))'));
  const shownOf = profile?.querySelector('.did')?.textContent ?? '';
  if (profile && !byAuthor.has(shownOf)) byAuthor.set(shownOf, []);
  if (byAuthor.size === 0) return;
  const sum = document.getElementById('check-sum');
  if (sum) [sum.hidden, sum.textContent] = [false, words.checking];
  worker ??= new Worker(new URL('./worker.js', import.meta.url), { type: 'module' });
  const checker = worker;
  const realm = document.documentElement.dataset.realm ?? '';
  for (const [did, posts] of byAuthor) {
    const wanted = posts.map((post) => post.dataset.uri);
    const nothing = { id: 0, name: '', profile: {}, missing: false, posts: {} };
    const found = did ? await asked(checker, { realm, did, wanted }) : nothing;
    if (profile && did === shownOf) markProfile(profile, found);
    for (const post of posts) {
      const verdict = mark(post, found);
      counts[verdict] += 1;
      post.dataset.verdict = verdict;
      if (verdict === 'good') {
        checkPictures(checker, post, () => {
          forget(post);
          counts.bad += 1;
          post.dataset.verdict = 'bad';
          tellSum();
        });
      }
    }
  }
  tellSum();
  document.documentElement.dataset.checked = 'yes';
}

/** @param {HTMLElement} profile @param {Checked | Failed} found */
function markProfile(profile, found) {
  if ('why' in found) {
    profile.append(panel('unsure', filled(words.unsure, { why: filled(words[found.why], { mib: 16 }) }), undefined, false));
    return;
  }
  const { name, bio, ...rest } = found.profile;
  const fields = [...profile.querySelectorAll('dl > div')].map((row) => [
    row.querySelector('dt')?.textContent ?? '',
    row.querySelector('dd')?.textContent ?? '',
  ]);
  const isSaid = fields.every(([key, value]) => Object.entries(rest).some(([k, v]) => readable(k) === key && readable(v) === value));
  const isNamed = !name || profile.querySelector('h1 .name')?.textContent === readable(name);
  const isSame = isSaid && isNamed && (profile.querySelector('.bio')?.textContent ?? '') === readable(bio);
  const verdict = isSame ? 'good' : found.missing ? 'unsure' : 'bad';
  const why = isSame ? '' : found.missing ? words.content : words.profile;
  profile.append(panel(verdict, filled(words[verdict], { name: readable(name) || words.nameless, why }), undefined, false));
  profile.classList.toggle('lied', verdict === 'bad');
}

/**
 * The bytes of each picture, once the browser has shown it: read again from its cache, so nothing is loaded twice.
 *
 * @param {Worker} worker @param {HTMLElement} post @param {() => void} lied
 */
function checkPictures(worker, post, lied) {
  for (const image of /** @type {HTMLImageElement[]} */ (own(post, 'figure img'))) {
    const check = async () => {
      const path = image.getAttribute('src') ?? '';
      const { root } = await asked(worker, { blob: path });
      if (root === null || path === `/media/${root}` || post.classList.contains('lied')) return;
      post.querySelector(':scope > .proof')?.remove();
      post.append(panel('bad', filled(words.bad, { why: words.bytes }), undefined, false));
      post.classList.add('lied');
      lied();
    };
    if (image.complete && image.naturalWidth) check();
    else image.addEventListener('load', check, { once: true });
  }
}

let asks = 0;

/** @param {Worker} worker @param {object} what @returns {Promise<any>} */
function asked(worker, what) {
  const id = (asks += 1);
  return new Promise((resolve) => {
    const heard = (/** @type {MessageEvent} */ { data }) => {
      if (data.id !== id) return;
      worker.removeEventListener('message', heard);
      resolve(data);
    };
    worker.addEventListener('message', heard);
    worker.addEventListener('error', () => resolve({ id, why: 'damaged', root: null }), { once: true });
    worker.postMessage({ id, ...what });
  });
}
