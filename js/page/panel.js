/**
 * What stands under a post: the verdict in words, and behind it the proof.
 *
 * @import { Signed } from './worker.js'
 */
import { words, filled } from './words.js';

/** @param {string} tag @param {string} [text] @param {string} [className] */
export function element(tag, text = '', className = '') {
  const made = document.createElement(tag);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

/** @param {'good' | 'bad' | 'unsure'} verdict @param {string} title @param {Signed | undefined} signed @param {boolean} open */
export function panel(verdict, title, signed, open) {
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
