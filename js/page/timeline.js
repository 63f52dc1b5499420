/**
 * New posts of a timeline: they are put in as they come if the reader is at the top, else a button offers them. Posts about
 * which moderators decide are shown as they are shown to this reader now, or go.
 */
import { checkPage, element, forget, localTime } from './check.js';
import { listen } from './live.js';
import { filled, words } from './words.js';

const GAP_MS = 500;
const NEAR_PX = 200;

/** @param {HTMLElement} list */
export function follow(list) {
  /** @type {HTMLElement[]} */
  let waiting = [];
  /** @type {HTMLButtonElement | null} */
  let button = null;
  let next = 0;
  let cursor = list.dataset.cursor ?? '';
  let isAsked = false;
  /** @param {HTMLElement[]} posts newest first */
  const put = (posts) => {
    document.querySelector('.nothing')?.remove();
    for (const post of posts.reverse()) {
      post.classList.add('new');
      list.prepend(post);
    }
    checkPage();
  };
  const offer = () => {
    button ??= /** @type {HTMLButtonElement} */ (element('button', '', 'fresh'));
    button.type = 'button';
    button.textContent = filled(words.fresh, { count: waiting.length });
    button.onclick = () => {
      put(waiting);
      waiting = [];
      button?.remove();
    };
    if (!button.isConnected) list.before(button);
  };
  const look = async () => {
    isAsked = false;
    next = Date.now() + GAP_MS;
    const page = await pageAt(location.pathname);
    if (!(page instanceof Document)) return;
    cursor = /** @type {HTMLElement | null} */ (page.querySelector('[data-live]'))?.dataset.cursor ?? cursor;
    const known = new Set(waiting.map((post) => post.dataset.uri));
    const there = /** @type {NodeListOf<HTMLElement>} */ (page.querySelectorAll('[data-live] > article'));
    const found = [...there].map((post) => document.importNode(post, true));
    const fresh = found.filter((post) => !document.getElementById(post.id) && !known.has(post.dataset.uri));
    if (!fresh.length) return;
    fresh.forEach(tellTimes);
    waiting = [...fresh, ...waiting];
    const isWriting = document.activeElement?.matches('textarea, input');
    if (scrollY < NEAR_PX && !isWriting && !document.hidden) {
      put(waiting);
      waiting = [];
    } else offer();
  };
  const post = () => {
    if (isAsked) return;
    isAsked = true;
    setTimeout(look, Math.max(0, next - Date.now()));
  };
  /** What came between the page and the stream, or while nobody looked at it. @param {null} _ @param {string} at */
  const begin = (_, at) => {
    if (at !== cursor) post();
  };
  /** @param {{ uri: string, path: string }} data */
  const judged = async ({ uri, path }) => {
    if (waiting.some((post) => post.dataset.uri === uri)) {
      waiting = waiting.filter((post) => post.dataset.uri !== uri);
      if (waiting.length) offer();
      else button?.remove();
    }
    const named = `article[data-uri="${CSS.escape(uri)}"]`;
    if (!list.querySelector(named)) return;
    const page = await pageAt(path);
    if (page === null) return;
    const now = page === 'gone' ? null : page.querySelector(named);
    for (const old of /** @type {NodeListOf<HTMLElement>} */ (list.querySelectorAll(named))) {
      forget(old);
      if (!(now instanceof HTMLElement)) {
        old.remove();
        continue;
      }
      const post = document.importNode(now, true);
      post.className = old.className;
      const again = old.querySelector(':scope > .again');
      if (again) post.prepend(again);
      tellTimes(post);
      old.replaceWith(post);
    }
    checkPage();
  };
  listen(list.dataset.live === 'home' ? '/live/events?where=home' : '/live/events', { begin, post, judged });
}

/** The page as it is now; `gone` if nothing is there for this reader, null if it cannot be had. @param {string} path */
async function pageAt(path) {
  const answer = await fetch(path, { cache: 'no-cache' }).catch(() => null);
  if (answer?.ok) return new DOMParser().parseFromString(await answer.text(), 'text/html');
  return answer && [403, 404, 410].includes(answer.status) ? 'gone' : null;
}

/** @param {HTMLElement} post */
function tellTimes(post) {
  for (const time of post.querySelectorAll('time')) time.textContent = localTime(Date.parse(time.dateTime));
}
