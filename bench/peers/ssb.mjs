// Secure Scuttlebutt: ssb-db2 with ssb-ebt over secret-stack, classic feeds, the secret handshake on TCP.
// ssb-db2 gathers what arrives for 250 ms; an `addBatchThrottle` of 20, 50 or 100 ms was tried and is no faster.

import { createRequire } from 'node:module'
import { join } from 'node:path'
import { program, share, text, timed, until } from './lib.mjs'

const require = createRequire(import.meta.url)
const caps = require('ssb-caps')
const ssbKeys = require('ssb-keys')
const SecretStack = require('secret-stack')

/** The result of fn(...args, callback). */
function call (fn, ...args) {
  return new Promise((resolve, reject) => fn(...args, (err, found) => err ? reject(err) : resolve(found)))
}

function start (folder) {
  return SecretStack({ appKey: caps.shs, caps })
    .use(require('ssb-db2/core'))
    .use(require('ssb-classic'))
    .use(require('ssb-db2/compat/ebt'))
    .use(require('ssb-ebt'))
    .call(null, {
      path: folder,
      keys: ssbKeys.loadOrCreateSync(join(folder, 'secret')),
      connections: {
        incoming: { net: [{ scope: 'device', transform: 'shs', host: '127.0.0.1', port: 0 }] },
        outgoing: { net: [{ transform: 'shs' }] }
      },
      timers: { inactivity: -1 }
    })
}

async function serve (folder, settings) {
  const sbot = start(folder)
  const feeds = []
  for (let w = 0; w < settings.writers; w++) {
    const keys = ssbKeys.generate(null, Buffer.from(`writer ${w} of the bench`.padEnd(32, '.')))
    feeds.push(keys.id)
    const made = []
    for (let n = 0; n < share(w, settings); n++) {
      made.push(call(sbot.db.create, { feedFormat: 'classic', keys, content: { type: 'post', text: text(n, settings.text_bytes) } }))
    }
    await Promise.all(made)
  }
  await call(done => sbot.db.onDrain('ebt', () => done()))
  for (const feed of [sbot.id, ...feeds]) sbot.ebt.request(feed, true)
  return { found: { address: sbot.getAddress('device'), feeds }, close: () => call(sbot.close) }
}

async function read (folder, settings) {
  const sbot = start(folder)
  let seen = 0
  sbot.db.onMsgAdded(() => { seen++ })
  for (const feed of [sbot.id, ...settings.feeds]) sbot.ebt.request(feed, true)
  await call(sbot.ebt.clock, { format: 'classic' }) // it is ready
  const figures = await timed(async () => {
    await call(sbot.connect, settings.address)
    await until(() => seen >= settings.entries, 'all messages')
    await call(done => sbot.db.getLog().onDrain(() => done())) // on disk; its indexes go on after that
  })
  await call(sbot.close, true)
  return figures
}

async function held (folder, settings) {
  const { author, toPromise, where } = require('ssb-db2/operators')
  const sbot = start(folder)
  let right = 0
  for (const [w, feed] of settings.feeds.entries()) {
    const found = await sbot.db.query(where(author(feed)), toPromise())
    const texts = new Map(found.map(({ value }) => [value.sequence, value.content.text]))
    for (let n = 0; n < share(w, settings); n++) if (texts.get(n + 1) === text(n, settings.text_bytes)) right++
  }
  await call(sbot.close, true)
  return right
}

await program({ serve, read, held })
