/** What each page of a node runs: times as the reader's clock has them, the check of all posts, and what the page needs. */
import { checkPage, element, localTime } from './check.js';
import { filled, words } from './words.js';

const NEAR_END_S = 10;

for (const time of document.querySelectorAll('time[datetime]'))
  if (time instanceof HTMLTimeElement) time.textContent = localTime(Date.parse(time.dateTime));

/** Modules that only some pages need, by what is on those pages. */
const parts = /** @type {[string, (found: HTMLElement) => Promise<unknown>][]} */ ([
  ['#live', async (found) => (await import('./live.js')).follow(found)],
  ['#net', async (found) => (await import('./network.js')).watch(found)],
  ['[data-live]', async (found) => (await import('./timeline.js')).follow(found)],
  ['form.compose, [data-zone]', async () => (await import('./compose.js')).compose()],
  ['.player', async (found) => play(found)],
  ['#own', async (found) => (await import('./own.js')).own(found)],
  ['[data-own]', async (found) => (await import('./own.js')).answer(found)],
]);
document.addEventListener('submit', act);
document.addEventListener('click', ({ target }) => {
  for (const menu of document.querySelectorAll('details.more-acts[open]'))
    if (!menu.contains(/** @type {Node} */ (target))) menu.removeAttribute('open');
});
document.addEventListener('keydown', ({ key }) => {
  if (key !== 'Escape') return;
  for (const menu of document.querySelectorAll('details.more-acts[open]')) {
    menu.removeAttribute('open');
    menu.querySelector('summary')?.focus();
  }
});
for (const [selector, run] of parts) {
  const found = document.querySelector(selector);
  if (found instanceof HTMLElement) run(found).catch((error) => console.error(error));
}
await checkPage();

/** Says something to the person, for a while. @param {string} text */
function tell(text) {
  document.querySelector('.said')?.remove();
  const said = element('div', text, 'said');
  said.setAttribute('role', 'status');
  document.querySelector('main')?.prepend(said);
  setTimeout(() => said.remove(), 6_000);
}

/** A mark of a post by one click. Without scripts the same form leads back to the post. @param {SubmitEvent} event */
async function act(event) {
  const form = event.target;
  if (!(form instanceof HTMLFormElement) || !('act' in form.dataset)) return;
  event.preventDefault();
  const button = /** @type {HTMLButtonElement} */ (form.querySelector('button'));
  const undo = /** @type {HTMLInputElement} */ (form.elements.namedItem('undo'));
  const isOn = undo.value === '1';
  /** @param {boolean} on @param {number} step */
  const show = (on, step) => {
    button.setAttribute('aria-pressed', String(on));
    const count = button.querySelector('.count');
    const next = Number(count?.textContent || 0) + step;
    const isCounted = count && !button.classList.contains('keep');
    if (isCounted) count.textContent = next > 0 ? String(next) : '';
  };
  const body = new URLSearchParams(/** @type {any} */ (new FormData(form)));
  button.disabled = true;
  show(!isOn, isOn ? -1 : 1);
  const answer = await fetch(form.action, { method: 'POST', body, redirect: 'manual' }).catch(() => null);
  button.disabled = false;
  if (answer?.type === 'opaqueredirect') {
    undo.value = isOn ? '0' : '1';
    return;
  }
  show(isOn, isOn ? 1 : -1);
  tell(filled(words.failed, { why: answer ? String(answer.status) : words.lost }));
}

/** An episode: chapters lead into the film, and it goes on where the listener stopped. @param {HTMLElement} section */
function play(section) {
  const film = section.querySelector('video, audio');
  if (!(film instanceof HTMLMediaElement)) return;
  const key = `stopped ${section.dataset.episode}`;
  const links = /** @type {HTMLAnchorElement[]} */ ([...section.querySelectorAll('.chapters a')]);
  for (const link of links)
    link.addEventListener('click', (event) => {
      event.preventDefault();
      film.currentTime = Number(link.dataset.at) / 1000;
      film.play().catch(() => {});
    });
  const stopped = Number(localStorage.getItem(key) ?? 0);
  if (stopped > NEAR_END_S) {
    film.currentTime = stopped;
    const at = `${Math.floor(stopped / 60)}:${String(Math.floor(stopped % 60)).padStart(2, '0')}`;
    section.querySelector('.inside')?.append(element('p', filled(words.goOn, { at }), 'dim'));
  }
  film.addEventListener('timeupdate', () => {
    const isOver = film.duration - film.currentTime < NEAR_END_S;
    if (isOver) localStorage.removeItem(key);
    else if (!film.paused) localStorage.setItem(key, String(Math.floor(film.currentTime)));
    const at = film.currentTime * 1000;
    const now = links.filter((link) => Number(link.dataset.at) <= at).at(-1);
    for (const link of links) {
      if (link === now) link.setAttribute('aria-current', 'true');
      else link.removeAttribute('aria-current');
    }
  });
}
