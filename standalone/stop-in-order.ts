import closeWithGrace from 'close-with-grace'
import type { FastifyInstance } from 'fastify'

/** How long a stop may take, in milliseconds. */
export const STOP_WITHIN = 10_000
/** A signal within this time after the first repeats it, in milliseconds: npm and systemd both forward signals. */
export const SAME_SIGNAL_WITHIN = 500
export const STOP_SIGNALS = ['SIGTERM', 'SIGINT'] as const

/**
 * Closes the streams and ends the process with exit code 0, after a signal to stop and the drain delay. Another signal ends the
 * delay. An uncaught error stops the process without a delay. SIGHUP calls `reload`, or stops the process: a terminal that is
 * closed sends it.
 */
export function stopInOrder(server: FastifyInstance, delay: number, reload?: () => Promise<void>): void {
  const skip: closeWithGrace.AllEvents[] = [...STOP_SIGNALS, 'beforeExit']
  if (reload !== undefined) {
    skip.push('SIGHUP')
    process.on('SIGHUP', reload)
  }
  const grace = closeWithGrace({ delay: delay + STOP_WITHIN, logger: server.log, skip }, async ({ err }) => {
    if (err) server.log.error({ err }, 'stopping after an error')
    else await server.sse.drain({ delay })
    await server.close()
  })
  // By default close-with-grace exits at once at a second signal.
  let stoppingSince: number | undefined
  const stop = () => {
    if (stoppingSince === undefined) {
      stoppingSince = performance.now()
      if (delay > 0) server.log.info(`not ready; streams end in ${delay} ms, or at another signal`)
      grace.close()
    } else if (delay > 0 && performance.now() - stoppingSince > SAME_SIGNAL_WITHIN) {
      server.sse.drain().catch((error) => server.log.error({ err: error }, 'the streams could not be ended in order'))
    }
  }
  for (const signal of STOP_SIGNALS) process.on(signal, stop)
}
