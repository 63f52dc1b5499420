/** What each page of a node runs: times as the reader's clock has them, the check of all posts, and what the page needs. */
import { act } from './act.js';
import { checkPage, localTime } from './check.js';

for (const time of document.querySelectorAll('time[datetime]'))
  if (time instanceof HTMLTimeElement) time.textContent = localTime(Date.parse(time.dateTime));

/** Modules that only some pages need, by what is on those pages. */
const parts = /** @type {[string, (found: HTMLElement) => Promise<unknown>][]} */ ([
  ['#live', async (found) => (await import('./live.js')).follow(found)],
  ['#net', async (found) => (await import('./network.js')).watch(found)],
  ['[data-live]', async (found) => (await import('./timeline.js')).follow(found)],
  ['form.compose, [data-zone]', async () => (await import('./compose.js')).compose()],
  ['.player', async (found) => (await import('./player.js')).play(found)],
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
