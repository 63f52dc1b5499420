/** The events of the node as they come. All texts are set as text. */
import { element, localTime } from './check.js';
import { words, filled } from './words.js';

const KEPT = 100;

/** @param {{ text: string, warning: string }} data */
const textOf = ({ text, warning }) => (warning ? filled(words.warned, { warning }) : text);

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
    const said = element('div', seen.has(data.uri) ? '' : textOf(data), 'text');
    row.dataset.uri = data.uri;
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
  heard.judged = (data) => {
    for (const row of /** @type {NodeListOf<HTMLElement>} */ (list.querySelectorAll(`[data-uri="${CSS.escape(data.uri)}"]`))) {
      const said = row.querySelector('.text');
      if (!data.shown) row.remove();
      else if (said?.textContent) said.textContent = textOf(data);
    }
  };
  listen(list.dataset.stream ?? '', heard);
}

/**
 * Events of the node (SSE) while the page is looked at: browsers open few connections to one place at a time.
 *
 * @param {string} address
 * @param {Record<string, (data: any, id: string) => void>} heard by the name of the event; `open` and `error` have no data
 */
export function listen(address, heard) {
  /** @type {EventSource | null} */
  let source = null;
  const close = () => {
    source?.close();
    source = null;
  };
  const open = () => {
    if (source || document.hidden) return;
    source = new EventSource(address);
    for (const [name, hear] of Object.entries(heard))
      source.addEventListener(name, (event) =>
        event instanceof MessageEvent ? hear(JSON.parse(event.data), event.lastEventId) : hear(null, ''),
      );
  };
  document.addEventListener('visibilitychange', () => (document.hidden ? close() : open()));
  addEventListener('pagehide', close);
  addEventListener('pageshow', open);
  open();
}
