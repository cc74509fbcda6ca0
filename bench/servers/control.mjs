import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { answering } from '../lib/answering.mjs'

/** As many as come in while all of them are under way; Node's own 511 would turn some away, who try again a second later. */
const BACKLOG = 4096
/** How many sends are under way in one turn of the event loop. */
const WINDOW = 100

/**
 * Listens, and lets a server under test be asked what it has used and how long its event loop stood still. `send` publishes to
 * one user without HTTP.
 */
export async function serve(app, send, more = {}) {
  await app.listen({ port: 0, host: '127.0.0.1', backlog: BACKLOG })
  answering(
    { port: app.server.address().port },
    { ...stalls(), resources, send: (what) => sendAll(send, what), ...more }
  )
}

/** Commands that begin a measurement with a clean heap, and tell the longest stall since, in milliseconds. */
function stalls() {
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  return {
    async reset() {
      // Twice, with a pause: what the first has found dead is given back meanwhile.
      globalThis.gc?.()
      await sleep(50)
      globalThis.gc?.()
      await sleep(50)
      delay.reset()
    },
    stall: () => ({ longest: delay.max / 1e6, p99: delay.percentile(99) / 1e6 })
  }
}

/** What keeps the process alive, by kind. */
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
