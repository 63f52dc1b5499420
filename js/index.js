/**
 * A light client of Banyan: what a node shows, checked by whoever reads it. docs/protocol.md says what the bytes mean.
 *
 * @typedef {import('./src/crypto.js').Realm} Realm
 * @typedef {import('./src/crypto.js').Signer} Signer
 * @typedef {import('./src/account.js').State} State
 * @typedef {import('./src/archive.js').Archive} Archive
 * @typedef {import('./src/firehose.js').Told} Told
 * @typedef {import('./src/social.js').Person} Person
 * @typedef {import('./src/write.js').Draft} Draft
 */
export { Account } from './src/account.js';
export { readArchive, writeArchive } from './src/archive.js';
export { NotYet, Rejected, accountOf, accountText } from './src/bytes.js';
export { MAIN, TEST, blobRoot, keyDigest } from './src/crypto.js';
export { FirehoseReader } from './src/firehose.js';
export { FrontierCursor, readFrontierCursor, writeFrontierCursor } from './src/frontier.js';
export { forgetAccount, generateKeys, keysOfSeed, loadAccount, loadKeys, signerOf, storeAccount, storeKeys } from './src/keys.js';
export { frontierDigest } from './src/logs.js';
export { readProof } from './src/proof.js';
export { read } from './src/social.js';
export * from './src/write.js';
