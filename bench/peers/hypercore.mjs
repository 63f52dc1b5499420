// Hypercore: one core a writer in a Corestore on RocksDB, replicated over TCP with its own noise stream.
// settings.ask: 'all' follows the whole core, 'range' asks for as many blocks as there are. Requests under way: the default (over
// plain TCP 48 a core); `inflightRange: [512, 512]` and `linear: true` were tried and are no faster on loopback.

import Corestore from 'corestore'
import net from 'node:net'
import { program, share, text, timed, until } from './lib.mjs'

const BATCH = 1000

async function serve (folder, settings) {
  const store = new Corestore(folder)
  const keys = []
  for (let w = 0; w < settings.writers; w++) {
    const core = store.get({ name: `writer ${w}` })
    await core.ready()
    const blocks = Array.from({ length: share(w, settings) }, (_, n) => Buffer.from(text(n, settings.text_bytes)))
    for (let n = 0; n < blocks.length; n += BATCH) await core.append(blocks.slice(n, n + BATCH))
    keys.push(core.key.toString('hex'))
  }
  const server = net.createServer(socket => {
    socket.setNoDelay(true)
    socket.on('error', () => {})
    const stream = store.replicate(false)
    stream.on('error', () => {})
    socket.pipe(stream).pipe(socket)
  })
  await new Promise(resolve => server.listen(0, '127.0.0.1', resolve))
  return { found: { port: server.address().port, keys }, close: () => store.close() }
}

function open (store, { keys }) {
  return keys.map(key => store.get({ key: Buffer.from(key, 'hex') }))
}

async function read (folder, settings) {
  const store = new Corestore(folder)
  const cores = open(store, settings)
  await Promise.all(cores.map(core => core.ready()))
  let socket
  const figures = await timed(async () => {
    socket = net.connect(settings.port, '127.0.0.1')
    socket.setNoDelay(true)
    socket.on('error', () => {})
    const stream = store.replicate(true)
    stream.on('error', () => {})
    socket.pipe(stream).pipe(socket)
    if (settings.ask === 'range') {
      await Promise.all(cores.map((core, w) => core.download({ start: 0, end: share(w, settings) }).done()))
    } else {
      for (const core of cores) core.download({ start: 0, end: -1 }) // the whole, however long it gets: this is never done
      await until(() => cores.every((core, w) => core.contiguousLength >= share(w, settings)), 'all blocks')
    }
  })
  socket.destroy()
  await store.close()
  return figures
}

async function held (folder, settings) {
  const store = new Corestore(folder)
  let right = 0
  const cores = open(store, settings)
  for (let w = 0; w < cores.length; w++) {
    await cores[w].ready()
    for (let n = 0; n < share(w, settings); n++) {
      const block = await cores[w].get(n, { wait: false })
      if (block && block.toString() === text(n, settings.text_bytes)) right++
    }
  }
  await store.close()
  return right
}

await program({ serve, read, held })
