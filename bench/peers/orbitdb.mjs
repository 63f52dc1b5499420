// OrbitDB: an events database on Helia, blocks in LevelDB, libp2p on TCP with noise and yamux, heads by gossipsub and blocks by bitswap.
// One database whatever the number of writers: its log is one DAG, and here one identity writes it.

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import { bitswap } from '@helia/block-brokers'
import { identify } from '@libp2p/identify'
import { gossipsub } from '@libp2p/gossipsub'
import { tcp } from '@libp2p/tcp'
import { createOrbitDB } from '@orbitdb/core'
import { LevelBlockstore } from 'blockstore-level'
import { createHelia } from 'helia'
import { createLibp2p } from 'libp2p'
import { multiaddr } from '@multiformats/multiaddr'
import { program, text, timed, until } from './lib.mjs'

async function start (folder) {
  mkdirSync(folder, { recursive: true })
  const libp2p = await createLibp2p({
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    services: { identify: identify(), pubsub: gossipsub({ allowPublishToZeroTopicPeers: true }) }
  })
  const blockstore = new LevelBlockstore(join(folder, 'blocks'))
  await blockstore.open()
  const ipfs = await createHelia({ libp2p, blockstore, blockBrokers: [bitswap()], routers: [] })
  const orbitdb = await createOrbitDB({ ipfs, directory: join(folder, 'orbitdb') })
  return {
    libp2p,
    orbitdb,
    async stop () {
      await orbitdb.stop()
      await ipfs.stop()
      await blockstore.close()
    }
  }
}

async function serve (folder, settings) {
  const { libp2p, orbitdb, stop } = await start(folder)
  const db = await orbitdb.open('bench', { type: 'events' })
  for (let n = 0; n < settings.entries; n++) await db.add(text(n, settings.text_bytes))
  return { found: { peer: libp2p.getMultiaddrs()[0].toString(), database: db.address.toString() }, close: stop }
}

async function read (folder, settings) {
  const { libp2p, orbitdb, stop } = await start(folder)
  let db
  const figures = await timed(async () => {
    await libp2p.dial(multiaddr(settings.peer))
    db = await orbitdb.open(settings.database)
    let joined = false
    db.events.on('update', () => { joined = true }) // told once the head and everything below it is verified and stored
    await until(() => joined, 'the head')
  })
  await db.close()
  await stop()
  return figures
}

async function held (folder, settings) {
  const { orbitdb, stop } = await start(folder)
  const db = await orbitdb.open(settings.database)
  const texts = new Set()
  for await (const { value } of db.iterator()) texts.add(value)
  let right = 0
  for (let n = 0; n < settings.entries; n++) if (texts.has(text(n, settings.text_bytes))) right++
  await stop()
  return right
}

await program({ serve, read, held })
