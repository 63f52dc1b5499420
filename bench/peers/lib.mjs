// What the programs here have in common: how they are called, the text of every message, what they answer.
//
//   node SYSTEM.mjs serve FOLDER JSON   writes the messages into FOLDER (not timed), listens on loopback, prints a line {address, ...},
//                                       serves until its standard input ends, then prints {cpu_seconds} of the serving and exits
//   node SYSTEM.mjs read FOLDER JSON    a fresh peer: connects to the address in JSON, takes everything, prints its figures and exits
//
// JSON holds entries, writers, text_bytes and options of the system; `read` gets beside them what `serve` printed.

import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'

/** The text of a writer's message n, as `social_post` of bench/rig/people.py has it. */
export function text (n, bytes) {
  return `post ${n}: `.padEnd(bytes, 'x')
}

/** How many messages writer w has: the first ones have the rest of a division that leaves one. */
export function share (w, { entries, writers }) {
  return Math.floor(entries / writers) + (w < entries % writers ? 1 : 0)
}

function say (figures) {
  return new Promise(resolve => process.stdout.write(JSON.stringify(figures) + '\n', resolve))
}

function cpuSeconds (since) {
  const used = process.cpuUsage(since)
  return (used.user + used.system) / 1e6
}

function bytesIn (folder) {
  let total = 0
  for (const found of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (found.isFile()) total += statSync(join(found.parentPath, found.name)).size
  }
  return total
}

/** Measures one catch-up: `go` starts at the dial and returns once all is held. */
export async function timed (go) {
  const cpu = process.cpuUsage()
  const begin = process.hrtime.bigint()
  await go()
  return { seconds: Number(process.hrtime.bigint() - begin) / 1e9, cpu_seconds: cpuSeconds(cpu) }
}

/** Returns once `done()` is true, looked at every millisecond; fails after `seconds`. */
export async function until (done, what, seconds = 600) {
  const end = Date.now() + seconds * 1000
  while (!(await done())) {
    if (Date.now() > end) throw new Error(`${what} not within ${seconds} s`)
    await new Promise(resolve => setTimeout(resolve, 1))
  }
}

/**
 * serve(folder, settings) returns {found, close}: what a reader must know, and how to stop.
 * read(folder, settings) returns {seconds, cpu_seconds}, closed; held(folder, settings) opens the folder again, without any peer, and counts
 * the messages in it that are the right ones.
 */
export async function program ({ serve, read, held }) {
  const [role, folder, json] = process.argv.slice(2)
  const settings = JSON.parse(json)
  if (role === 'serve') {
    const { found, close } = await serve(folder, settings)
    const cpu = process.cpuUsage()
    await say(found)
    for await (const _ of process.stdin) { /* until it ends */ }
    await say({ cpu_seconds: cpuSeconds(cpu) })
    await close()
  } else {
    const figures = await read(folder, settings)
    const entries = await held(folder, settings)
    await say({ ...figures, entries, stored_bytes: bytesIn(folder) })
  }
  process.exit(0) // some libraries leave timers behind
}
