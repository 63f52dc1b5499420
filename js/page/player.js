/** An episode: chapters lead into the film, and it goes on where the listener stopped. */
import { element } from './check.js';
import { filled, words } from './words.js';

const NEAR_END_S = 10;

/** @param {HTMLElement} section */
export function play(section) {
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
