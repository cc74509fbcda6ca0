import { setTimeout as wait } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import { explainMissing } from '../services/optional-package.ts'
import { EnvironmentError } from './values.ts'

/** How long a stop waits for the export of the last spans, in milliseconds. */
const FLUSH_WITHIN = 2_000

/** Traces the hub of a server, and warns if the process has loaded no SDK, because then there are no spans. */
export async function startTracing(server: FastifyInstance): Promise<void> {
  const { flushSpans, hubTracing, isTraced } = await import('../services/tracing/hub-tracing.ts')
    .catch(explainMissing('HUB_TRACING', '@opentelemetry/api'))
    .catch((error) => {
      throw new EnvironmentError(error.message)
    })
  hubTracing(server.sse)
  if (!isTraced())
    server.log.warn('HUB_TRACING is on, but the process has loaded no OpenTelemetry SDK: no span is exported')
  const report = (err: unknown) => server.log.warn({ err }, 'the last spans could not be exported')
  // The process ends soon after, which an SDK does not expect.
  server.addHook('onClose', () =>
    Promise.race([flushSpans().catch(report), wait(FLUSH_WITHIN, undefined, { ref: false })])
  )
}
