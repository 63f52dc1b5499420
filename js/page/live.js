/** The events of the node as they come. All texts are set as text. */
import { localTime } from './check.js';
import { element } from './panel.js';
import { listen } from './stream.js';
import { words, filled } from './words.js';

const KEPT = 100;

/** @param {HTMLElement} list */
export function follow(list) {
  const state = document.getElementById('live-state');
  const tell = (/** @type {string} */ text) => state && (state.textContent = text);
  /** @type {Record<string, (data: any) => void>} */
  const heard = { open: () => tell(words.connected), error: () => tell(words.lost) };
  /** @param {string} kind @param {(data: any, row: HTMLElement) => void} fill */
  const on = (kind, fill) => {
    heard[kind] = (data) => {
      const row = element('li');
      fill(data, row);
      list.prepend(row);
      while (list.children.length > KEPT) list.lastElementChild?.remove();
    };
  };
  const seen = new Set();
  on('post', (data, row) => {
    const link = /** @type {HTMLAnchorElement} */ (element('a', data.name || words.nameless));
    link.href = data.path;
    const time = element('time', ` ${localTime(data.time_ms)}`, 'dim');
    const text = data.warning ? filled(words.warned, { warning: data.warning }) : data.text;
    const said = element('div', seen.has(data.uri) ? '' : text, 'text');
    said.dir = 'auto';
    row.append(link, time, said);
    seen.add(data.uri);
  });
  on('said', (data, row) => {
    row.append(element('span', filled(words.wrote, { name: data.name || words.nameless, count: data.entries }), 'dim'));
  });
  on('peer', ({ peer, up }, row) => {
    row.append(element('span', filled(up ? words.peerUp : words.peerDown, { peer: peer.slice(-8) }), 'dim'));
  });
  on('more', ({ count }, row) => row.append(element('span', filled(words.more, { count }), 'dim')));
  listen(list.dataset.stream ?? '', heard);
}
