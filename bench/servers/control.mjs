import { monitorEventLoopDelay } from 'node:perf_hooks'

/**
 * What every server under test answers besides its work: what it has used. Asked over the process channel, so that asking
 * is no request among those that are measured.
 */
export function control(describe) {
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  process.on('message', ({ ask, id }) => {
    if (ask === 'exit') process.exit(0)
    if (ask === 'reset') {
      delay.reset()
      globalThis.gc?.()
    }
    const { user, system } = process.cpuUsage()
    const memory = process.memoryUsage()
    process.send({ id, cpu: user + system, user, system, rss: memory.rss, heap: memory.heapUsed, external: memory.external, stall: delay.max / 1e6 })
  })
  process.on('disconnect', () => process.exit(0))
  process.send({ id: 0, ...describe })
}

export const payloadOf = (body) => (typeof body.data === 'string' ? body.data : JSON.stringify(body.data))
