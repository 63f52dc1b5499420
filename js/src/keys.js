/**
 * Keys that sign. In a browser a private key is kept in IndexedDB as a CryptoKey that cannot be extracted: a script of
 * the page can sign with it, and cannot take it along.
 *
 * @import { Bytes } from './bytes.js'
 * @import { Signer } from './crypto.js'
 */
import { concat, hex, unhex } from './bytes.js';

/** @param {CryptoKeyPair} pair of Ed25519 @returns {Promise<Signer>} */
export const signerOf = async ({ publicKey, privateKey }) => ({
  key: hex(new Uint8Array(await crypto.subtle.exportKey('raw', publicKey))),
  sign: async (message) => new Uint8Array(await crypto.subtle.sign('Ed25519', privateKey, message)),
});

/** A new key that cannot be extracted. @returns {Promise<CryptoKeyPair>} */
export const generateKeys = () => crypto.subtle.generateKey('Ed25519', false, ['sign', 'verify']);

/** What stands before a seed in PKCS #8 (RFC 8410). */
const PKCS8 = unhex('302e020100300506032b657004220420');

/** @param {Bytes} seed 32 bytes, such as those that recovery words make @returns {Promise<CryptoKeyPair>} */
export async function keysOfSeed(seed) {
  const extractable = await crypto.subtle.importKey('pkcs8', concat(PKCS8, seed), 'Ed25519', true, ['sign']);
  const { d, ...open } = await crypto.subtle.exportKey('jwk', extractable);
  const publicKey = await crypto.subtle.importKey('jwk', { ...open, key_ops: ['verify'] }, 'Ed25519', true, ['verify']);
  const privateKey = await crypto.subtle.importKey('pkcs8', concat(PKCS8, seed), 'Ed25519', false, ['sign']);
  return { publicKey, privateKey };
}

/** @template T @param {IDBRequest<T>} request @returns {Promise<T>} */
const settled = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

const STORES = /** @type {const} */ (['keys', 'accounts']);

/** @param {(typeof STORES)[number]} name @param {IDBTransactionMode} mode */
async function table(name, mode) {
  const opening = indexedDB.open('banyan', 2);
  opening.onupgradeneeded = () => {
    for (const store of STORES) if (!opening.result.objectStoreNames.contains(store)) opening.result.createObjectStore(store);
  };
  const opened = await settled(opening);
  const transaction = opened.transaction(name, mode);
  transaction.addEventListener('complete', () => opened.close());
  return transaction.objectStore(name);
}

/** @param {string} name @param {CryptoKeyPair} pair @returns {Promise<void>} */
export async function storeKeys(name, pair) {
  await settled((await table('keys', 'readwrite')).put(pair, name));
}

/** @param {string} name @returns {Promise<CryptoKeyPair | undefined>} */
export const loadKeys = async (name) => settled((await table('keys', 'readonly')).get(name));

/**
 * An account that this browser writes, as it was last written: who writes on from an older state forks its log.
 *
 * @typedef {object} KeptAccount
 * @property {string} account its DID
 * @property {number} log the one that this browser writes
 * @property {Bytes} archive all of it
 * @property {string[]} unsent ids of entries that no node has taken yet
 */

/** @param {string} name @param {KeptAccount} kept @returns {Promise<void>} once it is on the disk */
export async function storeAccount(name, kept) {
  await settled((await table('accounts', 'readwrite')).put(kept, name));
}

/** @param {string} name @returns {Promise<KeptAccount | undefined>} */
export const loadAccount = async (name) => settled((await table('accounts', 'readonly')).get(name));

/** Forgets keys and account: without the keys elsewhere nobody writes it any more. @param {string} name */
export async function forgetAccount(name) {
  for (const store of STORES) await settled((await table(store, 'readwrite')).delete(name));
}
