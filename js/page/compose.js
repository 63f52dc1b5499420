/** The form for writing: what was not sent is kept in this browser, pictures are shown, times are of this device. */
import { element } from './check.js';
import { filled, words } from './words.js';

const WARN_AT = 500;

export function compose() {
  for (const form of document.querySelectorAll('form.compose')) if (form instanceof HTMLFormElement) prepare(form);
  for (const field of document.querySelectorAll('input[data-zone]'))
    if (field instanceof HTMLInputElement) field.value = Intl.DateTimeFormat().resolvedOptions().timeZone || field.value;
}

/** @param {HTMLFormElement} form */
function prepare(form) {
  const text = /** @type {HTMLTextAreaElement} */ (form.elements.namedItem('text'));
  const left = form.querySelector('.left');
  const key = `unsent ${form.dataset.key}`;
  /** @param {string} said */
  const tell = (said) => left && (left.textContent = said);
  const kept = localStorage.getItem(key);
  if (kept && !text.value.trim()) {
    text.value = kept;
    tell(words.restored);
  }
  text.addEventListener('input', () => {
    if (text.value.trim()) localStorage.setItem(key, text.value);
    else localStorage.removeItem(key);
    const rest = text.maxLength - text.value.length;
    tell(rest < WARN_AT ? filled(words.left, { count: rest }) : '');
  });
  text.addEventListener('keydown', (event) => {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) form.requestSubmit(/** @type {HTMLElement | null} */ (form.querySelector('button.main')));
  });
  form.addEventListener('submit', () => {
    localStorage.removeItem(key);
    const buttons = form.querySelectorAll('button');
    setTimeout(() => buttons.forEach((button) => (button.disabled = true)));
    addEventListener('pageshow', () => buttons.forEach((button) => (button.disabled = false)), { once: true });
  });
  const due = form.elements.namedItem('due');
  const zone = form.elements.namedItem('zone');
  if (due instanceof HTMLInputElement && zone instanceof HTMLInputElement) {
    const hint = form.querySelector('.zone');
    if (hint) hint.textContent = words.zone;
    // What the server wrote is UTC.
    if (due.value) due.value = localInput(new Date(`${due.value}Z`));
    const note = () => (zone.value = String(new Date(due.value || Date.now()).getTimezoneOffset()));
    due.addEventListener('change', note);
    note();
  }
  for (const field of form.querySelectorAll('input[type=file]'))
    if (field instanceof HTMLInputElement) field.addEventListener('change', () => preview(field));
  form.addEventListener('paste', (event) => paste(form, event));
}

/** @param {Date} at */
function localInput(at) {
  return new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

/** @param {HTMLInputElement} field */
function preview(field) {
  const shot = field.closest('.shot');
  const before = shot?.querySelector('img');
  if (before) URL.revokeObjectURL(before.src);
  before?.remove();
  const [file] = field.files ?? [];
  if (!shot || !file?.type.startsWith('image/')) return;
  const image = /** @type {HTMLImageElement} */ (element('img'));
  image.alt = '';
  image.src = URL.createObjectURL(file);
  shot.prepend(image);
}

/** A picture from the clipboard goes into the first free field. @param {HTMLFormElement} form @param {ClipboardEvent} event */
function paste(form, event) {
  const files = event.clipboardData?.files;
  if (!files?.length) return;
  const fields = /** @type {HTMLInputElement[]} */ ([...form.querySelectorAll('input[type=file]')]);
  const free = fields.find((field) => !field.files?.length);
  if (!free) return;
  event.preventDefault();
  const one = new DataTransfer();
  one.items.add(files[0]);
  free.files = one.files;
  free.closest('details')?.setAttribute('open', '');
  preview(free);
}
