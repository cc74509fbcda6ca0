import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Fastify from 'fastify'
import { embeddedLog } from '../../dist/embedded.js'
import sseHub from '../../dist/index.js'
import { answerCommands } from '../lib/answering.mjs'

// A hub without streams, over the log that the environment names.
const durability = process.env.BENCH_DURABILITY || undefined
const path = durability && mkdtempSync(join(process.env.BENCH_FOLDER ?? tmpdir(), 'bench-log-'))
const log = path && (await embeddedLog({ path, durability }))
const data = 'x'.repeat(200)

const app = Fastify()
await app.register(sseHub, { log })
await app.ready()

answerCommands(undefined, {
  /** Publishes to 1,000 users with `inFlight` events at a time; returns the acknowledged events a second. */
  async publish({ count, inFlight }) {
    let sent = 0
    const publisher = async () => {
      while (sent < count) await app.sse.send(`u${sent++ % 1_000}`, { data })
    }
    const all = () => Promise.all(Array.from({ length: inFlight }, publisher))
    const max = count
    count = max / 10
    await all()
    count = max
    sent = 0
    const begun = performance.now()
    await all()
    return { rate: (max / (performance.now() - begun)) * 1_000 }
  },
  async end() {
    await app.close()
    if (path) rmSync(path, { recursive: true })
    return {}
  }
})
