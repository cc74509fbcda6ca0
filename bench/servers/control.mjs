import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { answerCommands } from '../lib/answering.mjs'

/** Room for all connections of a run at once. With Node's 511 some would be dropped, and retry a second later. */
const BACKLOG = 4096
/** Concurrent sends in one turn of the event loop. */
const WINDOW = 100

/**
 * Listens, and answers commands about the usage and the stalls of a server under test. `send` publishes to one user
 * without HTTP.
 */
export async function serve(app, send, more = {}) {
  await app.listen({ port: 0, host: '127.0.0.1', backlog: BACKLOG })
  answerCommands(
    { port: app.server.address().port },
    { ...stalls(), resources, send: (what) => sendAll(send, what), ...more }
  )
}

/** Commands that begin a measurement with a clean heap, and return the longest stall since, in milliseconds. */
function stalls() {
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  return {
    async reset() {
      // Twice, with a pause in which the memory that the first has freed is returned.
      globalThis.gc?.()
      await sleep(50)
      globalThis.gc?.()
      await sleep(50)
      delay.reset()
    },
    /** Begins again, with the heap as it is. */
    forgetStalls: () => {
      delay.reset()
    },
    stall: () => ({ longest: delay.max / 1e6, p99: delay.percentile(99) / 1e6 })
  }
}

/** The number of resources of each kind that keep the process alive. */
function resources() {
  const active = {}
  for (const kind of process.getActiveResourcesInfo()) active[kind] = (active[kind] ?? 0) + 1
  return { active }
}

async function sendAll(send, { milliseconds, users, text }) {
  const end = performance.now() + milliseconds
  const begun = process.cpuUsage()
  const start = performance.now()
  let sent = 0
  while (performance.now() < end) {
    await Promise.all(Array.from({ length: WINDOW }, () => send(`u${sent++ % users}`, text)))
    await new Promise(setImmediate)
  }
  const { user, system } = process.cpuUsage(begun)
  return { sent, seconds: (performance.now() - start) / 1000, sending: user + system }
}

export const payloadOf = (body) => (typeof body.data === 'string' ? body.data : JSON.stringify(body.data))
