/**
 * An account whose keys are in this browser: made here, written here, and only what is signed goes to the node.
 *
 * @import { Account } from '../src/account.js'
 * @import { Bytes } from '../src/bytes.js'
 * @import { KeptAccount } from '../src/keys.js'
 * @import { Draft, NewPost } from '../src/write.js'
 */
import { readArchive, writeArchive } from '../src/archive.js';
import { accountOf, accountText } from '../src/bytes.js';
import { MAIN, TEST } from '../src/crypto.js';
import { forgetAccount, generateKeys, loadAccount, loadKeys, signerOf, storeAccount, storeKeys } from '../src/keys.js';
import { read } from '../src/social.js';
import { append, createAccount, draftPost, draftProfile, freshLog } from '../src/write.js';
import { element } from './check.js';
import { commitments, spelled } from './paper.js';
import { filled, words } from './words.js';

const NAME = 'own';
const TAGS = 32;
const realm = document.documentElement.dataset.realm === 'test' ? TEST : MAIN;

/** @param {Bytes} bytes */
const base64 = (bytes) => btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''));

/** The account as this browser left it, with what the node has of it beyond. @param {KeptAccount} kept @returns {Promise<Account>} */
async function opened(kept) {
  const id = accountOf(kept.account);
  const account = (await readArchive(realm, kept.archive)).accounts.get(id);
  if (!account) throw new Error(words.damaged);
  const answer = await fetch(`/archives/${kept.account}`).catch(() => null);
  if (answer?.ok) {
    const theirs = (await readArchive(realm, new Uint8Array(await answer.arrayBuffer()))).accounts.get(id);
    for (const raw of theirs?.runs.values() ?? []) await account.addRun(raw).catch(() => {});
    for (const { ref, raw } of theirs?.parts.values() ?? []) await account.addPart(ref, raw).catch(() => {});
  }
  return account;
}

/** Gives the node what it has not taken yet. @param {Account} account @param {KeptAccount} kept @returns {Promise<string | null>} why it did not */
async function send(account, kept) {
  const archive = base64(await writeArchive(account, new Set(kept.unsent)));
  const body = JSON.stringify({ account: kept.account, archive });
  const headers = { 'content-type': 'application/json' };
  const answer = await fetch('/own/entries', { method: 'POST', headers, body }).catch(() => null);
  if (answer?.ok) {
    await storeAccount(NAME, { ...kept, unsent: [] });
    return null;
  }
  const said = await answer?.json().catch(() => null);
  return said?.error ?? words.lost;
}

/**
 * Signs drafts, keeps what was signed, then sends it. One tab at a time: two would fork the log.
 *
 * @param {(account: Account) => Promise<Draft[]>} drafts
 * @returns {Promise<string | null>} why the node did not take it
 */
const write = async (drafts) =>
  navigator.locks.request('banyan own', { ifAvailable: true }, async (lock) => {
    if (!lock) throw new Error(words.ownBusy);
    const [kept, keys] = await Promise.all([loadAccount(NAME), loadKeys(NAME)]);
    if (!kept || !keys) throw new Error(words.damaged);
    const account = await opened(kept);
    const entry = await append(account, await signerOf(keys), kept.log, await drafts(account));
    const now = { ...kept, archive: await writeArchive(account), unsent: [...kept.unsent, entry] };
    await storeAccount(NAME, now);
    return send(account, now);
  });

/** @param {string} said @param {Partial<NewPost>} [more] */
function say(said, more = {}) {
  const found = [...said.matchAll(/(?<![\p{L}\p{N}_/&#])#([\p{L}\p{N}\p{M}_]{1,40})/gu)].map(([, tag]) => tag.normalize('NFC'));
  const tags = [...new Set(found)].filter((tag) => !/^\d+$/.test(tag)).slice(0, TAGS);
  const lang = document.documentElement.lang;
  return write(async (account) => [await draftPost(account, { text: said, lang, ...(tags.length ? { tags } : {}), ...more })]);
}

/** @param {string} name @returns {Promise<string[]>} the words to keep on paper */
async function make(name) {
  const list = (await (await fetch('/own/words')).text()).split(' ');
  const secret = crypto.getRandomValues(new Uint8Array(32));
  const [root, keys, { next, recovery }] = await Promise.all([generateKeys(), generateKeys(), commitments(secret)]);
  const [rootSigner, writer] = await Promise.all([signerOf(root), signerOf(keys)]);
  const account = await createAccount(realm, { root: rootSigner, next, writer: writer.key, recovery: [recovery] });
  const log = freshLog(account, writer.key);
  const entry = await append(account, writer, log, [await draftProfile(account, 'name', name)]);
  const did = accountText(account.id);
  await Promise.all([storeKeys(NAME, keys), storeKeys(`${NAME} root`, root)]);
  await storeAccount(NAME, { account: did, log, archive: await writeArchive(account), unsent: [account.id, entry] });
  return spelled(secret, list);
}

/** @param {string} text @param {string} tag @param {string} [type] */
function field(text, tag, type = '') {
  const [label, input] = [element('label', '', 'field'), element(tag)];
  if (type) input.setAttribute('type', type);
  input.dir = 'auto';
  input.setAttribute('required', '');
  label.append(element('span', text), input);
  return { label, input: /** @type {HTMLInputElement} */ (input) };
}

/** @param {(HTMLElement | string)[]} parts @param {() => Promise<void>} run @param {string} text of the button */
function formOf(parts, run, text) {
  const [form, said, button] = [element('form', '', 'card'), element('p', '', 'note'), element('button', text, 'main')];
  said.setAttribute('role', 'status');
  said.hidden = true;
  form.append(...parts, button, said);
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    /** @type {HTMLButtonElement} */ (button).disabled = true;
    said.hidden = true;
    await run().catch((error) => {
      said.hidden = false;
      said.textContent = filled(words.failed, { why: error instanceof Error ? error.message : String(error) });
    });
    /** @type {HTMLButtonElement} */ (button).disabled = false;
  });
  return form;
}

/** @param {HTMLElement} place what was told @param {string | null} why */
function told(place, why) {
  const note = element('p', why === null ? words.ownPosted : filled(words.ownWaits, { why }), `note ${why === null ? 'good' : 'bad'}`);
  note.setAttribute('role', 'status');
  place.querySelector('.note')?.remove();
  place.prepend(note);
}

/** The page of the account. @param {HTMLElement} place */
export async function own(place) {
  if (!crypto?.subtle) return place.replaceChildren(element('p', words.insecure, 'note bad'));
  const kept = await loadAccount(NAME);
  place.replaceChildren(...(kept ? await writing(place, kept) : [making(place)]));
}

/** @param {HTMLElement} place */
function making(place) {
  const { label, input } = field(words.ownName, 'input');
  input.maxLength = 60;
  const run = async () => {
    const paper = await make(input.value.trim());
    const [card, text, done] = [element('section', '', 'card'), element('p', paper.join(' '), 'words'), element('button', words.ownKept, 'main')];
    card.append(element('p', words.ownMade), element('p', words.ownPaper), text, done);
    done.addEventListener('click', async () => {
      await own(place);
      const now = await loadAccount(NAME);
      if (now?.unsent.length) told(place, await send(await opened(now), now));
    });
    place.replaceChildren(card);
    done.focus();
  };
  return formOf([label], run, words.ownMake);
}

/** @param {HTMLElement} place @param {KeptAccount} kept */
async function writing(place, kept) {
  const account = await opened(kept);
  const name = read(account).profile.name ?? '';
  const [links, page, file] = [element('p', '', 'row'), element('a', words.ownPage, 'button'), element('a', words.ownFile, 'button')];
  /** @type {HTMLAnchorElement} */ (page).href = kept.account.replace('did:banyan:', '/@');
  const link = /** @type {HTMLAnchorElement} */ (file);
  link.href = URL.createObjectURL(new Blob([kept.archive], { type: 'application/octet-stream' }));
  link.download = `${kept.account.slice(-12)}.banyan`;
  links.append(page, file);
  const { label, input } = field(words.ownSay, 'textarea');
  input.maxLength = 8_000;
  const run = async () => {
    const why = await say(input.value);
    input.value = '';
    told(place, why);
  };
  const drop = element('button', words.ownDrop, 'plain');
  drop.addEventListener('click', async () => {
    if (prompt(words.ownSure)?.trim() !== name) return;
    await forgetAccount(NAME);
    await forgetAccount(`${NAME} root`);
    await own(place);
  });
  const who = element('h2');
  who.append(element('bdi', name || words.nameless));
  return [who, formOf([label], run, words.ownPost), links, drop];
}

/** Answers a post with the keys of this browser, if it has any. @param {HTMLElement} note */
export async function answer(note) {
  const kept = await loadAccount(NAME).catch(() => undefined);
  if (!kept) return;
  const { label, input } = field(words.ownReply, 'textarea');
  input.maxLength = 8_000;
  const place = element('div');
  const run = async () => {
    const reply = { parent: note.dataset.own ?? '', root: note.dataset.root ?? '' };
    const why = await say(input.value, { reply });
    if (why === null) location.reload();
    else told(place, why);
  };
  place.append(formOf([label], run, words.ownPost));
  note.replaceWith(place);
}
