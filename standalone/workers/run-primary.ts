import Fastify from 'fastify'
import { redactingSerializers } from '../../plugins/redaction.ts'
import { announce } from '../announce.ts'
import type { Environment } from '../environment.ts'
import { SAME_SIGNAL_WITHIN, STOP_SIGNALS, STOP_WITHIN } from '../stop-in-order.ts'
import { Primary } from './primary.ts'

/**
 * Runs the server in worker processes, and passes signals on to them.
 * @param module that each worker runs.
 * @returns the exit code.
 * @throws {EnvironmentError} when no worker can be started.
 */
export function runPrimary(environment: Environment, module: string): Promise<number> {
  const { workers, drainDelay, logLevel, authentication } = environment
  const { log } = Fastify({ logger: { level: logLevel, serializers: redactingSerializers } })
  const onServing = (port: number) => announce(log, environment, port)
  const primary = new Primary({ workers, module, stopWithin: drainDelay + STOP_WITHIN, logger: log, onServing })
  let stoppingSince: number | undefined
  const stop = () => {
    const isSame = stoppingSince !== undefined && performance.now() - stoppingSince <= SAME_SIGNAL_WITHIN
    stoppingSince ??= performance.now()
    if (!isSame) primary.stop()
  }
  for (const signal of STOP_SIGNALS) process.on(signal, stop)
  // A terminal that is closed sends it.
  process.on('SIGHUP', authentication === undefined || process.stdout.isTTY ? stop : () => primary.reload())
  return primary.run()
}
