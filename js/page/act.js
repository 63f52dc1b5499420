/** Marks of posts by one click, without loading the page anew. Without scripts the same forms lead back to the post. */
import { element } from './panel.js';
import { filled, words } from './words.js';

/** Says something to the person, for a while. @param {string} text */
export function tell(text) {
  document.querySelector('.said')?.remove();
  const said = element('div', text, 'said');
  said.setAttribute('role', 'status');
  document.querySelector('main')?.prepend(said);
  setTimeout(() => said.remove(), 6_000);
}

/** @param {SubmitEvent} event */
export async function act(event) {
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
