/**
 * The picture of the network as it changes: gaps close, messages go to neighbours. All texts are set as text.
 *
 * @typedef {{ peer: string, name: string, ms: number | null, behind: number | null, lacks: number | null, open: number, figure: string }} Peer
 * @typedef {{ peer: string, way: 'sent' | 'announced' | 'has', time_ms: number }} Told
 * @typedef {{ entry: string, name: string, uri: string | null, time_ms: number, source: string | null, told: Told[] }} Spread
 * @typedef {{ what: string, state: 'ok' | 'no' | 'wait' }} Health
 * @typedef {{ complete: boolean, peers: Peer[], spreads: Spread[], health: Health[], [figure: string]: any }} State
 */
import { element, localTime } from './check.js';
import { listen } from './live.js';
import { filled, words } from './words.js';

const SVG = 'http://www.w3.org/2000/svg';
const PULSE_MS = 900;

/** @param {HTMLElement} section */
export function watch(section) {
  const state = document.getElementById('live-state');
  const tell = (/** @type {string} */ text) => state && (state.textContent = text);
  const shown = new Set(
    [...document.querySelectorAll('#net tbody tr')].map((row) => /** @type {HTMLElement} */ (row).dataset.peer),
  );
  /** Steps that were drawn already: all that there are at the first look. @type {Set<string> | null} */
  let drawn = null;
  const show = (/** @type {State} */ found) => {
    const isSame = found.peers.length === shown.size && found.peers.every((one) => shown.has(one.peer));
    // Other peers are another picture, which the server draws.
    if (!isSame) return location.reload();
    const names = new Map(found.peers.map((one) => [one.peer, one.name || one.peer.slice(-8)]));
    for (const figure of document.querySelectorAll('[data-figure]'))
      figure.textContent = String(found[/** @type {HTMLElement} */ (figure).dataset.figure ?? ''] ?? '');
    for (const peer of found.peers) showPeer(peer);
    showSpreads(found.spreads, names);
    const steps = found.spreads.flatMap((one) => one.told.map((told) => [`${one.entry} ${told.peer} ${told.way}`, told.peer]));
    for (const [step, peer] of steps) if (drawn && !drawn.has(step)) pulse(peer);
    drawn = new Set(steps.map(([step]) => step));
  };
  const heard = { open: () => tell(words.live), error: () => tell(words.lost), state: show };
  listen(section.dataset.stream ?? '', heard);
}

/** @param {Peer} peer */
function showPeer({ peer, ms, behind, lacks, open, figure }) {
  const group = document.getElementById(`g-${peer}`);
  group?.setAttribute('class', behind ? 'behind' : 'even');
  group?.querySelector('.arc')?.setAttribute('stroke-dashoffset', String(open));
  const label = group?.querySelector('.figure');
  if (label) label.textContent = figure;
  const row = document.querySelector(`tr[data-peer="${CSS.escape(peer)}"]`);
  const cells = { ms: ms === null ? words.notKnown : `${ms} ms`, behind: behind ?? words.notCompared, lacks: lacks ?? words.notCompared };
  for (const [name, value] of Object.entries(cells)) {
    const cell = row?.querySelector(`[data-cell=${name}]`);
    if (cell) cell.textContent = String(value);
  }
}

/** @param {Spread[]} spreads @param {Map<string, string>} names */
function showSpreads(spreads, names) {
  const body = document.getElementById('net-spreads');
  if (!body || !spreads.length) return;
  const nameOf = (/** @type {string} */ peer) => names.get(peer) ?? peer.slice(-8);
  body.replaceChildren(
    ...spreads.map((one) => {
      const [row, what, when, told] = [element('tr'), element('th'), element('td', '', 'num'), element('td')];
      what.setAttribute('scope', 'row');
      if (one.uri) {
        const link = /** @type {HTMLAnchorElement} */ (element('a', words.post));
        link.href = one.uri.replace('did:banyan:', '/@');
        what.append(link, ' ');
      }
      what.append(element('bdi', one.name || words.nameless));
      const from = one.source ? filled(words.spreadFrom, { peer: nameOf(one.source) }) : words.spreadHere;
      when.append(element('time', localTime(one.time_ms)), ` ${from}`);
      for (const { peer, way, time_ms } of one.told) {
        const after = Math.max(0, time_ms - one.time_ms);
        const step = element('span', '', `told ${way}`);
        step.append(element('bdi', nameOf(peer)), ` ${words[way]} +${after} ms`);
        told.append(step, ' ');
      }
      row.append(what, when, told);
      return row;
    }),
  );
}

/** A dot that goes from this node to a peer. @param {string} peer */
function pulse(peer) {
  const line = document.getElementById(`l-${peer}`);
  const isStill = matchMedia('(prefers-reduced-motion: reduce)').matches;
  if (!(line instanceof SVGLineElement) || isStill) return;
  const [x1, y1, x2, y2] = [line.x1, line.y1, line.x2, line.y2].map((one) => one.baseVal.value);
  const dot = document.createElementNS(SVG, 'circle');
  dot.setAttribute('class', 'pulse');
  dot.setAttribute('r', '5');
  line.parentNode?.append(dot);
  const way = [`translate(${x1}px, ${y1}px)`, `translate(${x2}px, ${y2}px)`].map((transform) => ({ transform }));
  dot.animate(way, { duration: PULSE_MS, easing: 'ease-in-out' }).finished.then(() => dot.remove());
}
