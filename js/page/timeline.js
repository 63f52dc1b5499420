/** New posts of a timeline: they are put in as they come if the reader is at the top, else a button offers them. */
import { checkPage, localTime } from './check.js';
import { element } from './panel.js';
import { listen } from './stream.js';
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
    const answer = await fetch(location.pathname, { cache: 'no-cache' }).catch(() => null);
    if (!answer?.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
    const known = new Set(waiting.map((post) => post.dataset.uri));
    const there = /** @type {NodeListOf<HTMLElement>} */ (page.querySelectorAll('[data-live] > article'));
    const found = [...there].map((post) => document.importNode(post, true));
    const fresh = found.filter((post) => !document.getElementById(post.id) && !known.has(post.dataset.uri));
    if (!fresh.length) return;
    for (const post of fresh)
      for (const time of post.querySelectorAll('time')) time.textContent = localTime(Date.parse(time.dateTime));
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
  listen('/live/events', { post });
}
