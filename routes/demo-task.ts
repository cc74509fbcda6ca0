import { randomUUID } from 'node:crypto'
import { setMaxListeners } from 'node:events'
import { setTimeout as wait } from 'node:timers/promises'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance } from 'fastify'
import { wholeNumber } from '../services/option-checks.ts'
import { useHubSchemas } from './hub-schemas.ts'
import { TaskQuery } from './schemas.ts'

/** In milliseconds: slow enough to watch, and to be cut in the middle. */
const DEFAULT_STEP = 1_000
const DEFAULT_STEPS = 10
/** An hour, in milliseconds. */
const MAX_STEP = 3_600_000
/** Maximum number of running tasks, and of their events that are remembered: every caller may use the demo. */
const MAX_RUNNING = 100
const MAX_REMEMBERED = 10_000

export interface DemoTaskOptions {
  /**
   * How long a step takes, in milliseconds, 1 to 3,600,000.
   * @default 1_000
   */
  readonly step?: number | undefined
}

/**
 * `GET /tasks/demo?steps=10`: a task that reports one step per second and then ends, as a finite stream.
 *
 * An event source reconnects to the same URL, so its last event ID, not the URL, identifies the task that it was following.
 */
export async function demoTask(root: FastifyInstance, { step = DEFAULT_STEP }: DemoTaskOptions): Promise<void> {
  wholeNumber('demoTask.step', step, 1, MAX_STEP)
  useHubSchemas(root)
  const app = root.withTypeProvider<TypeBoxTypeProvider>()
  const stop = new AbortController()
  setMaxListeners(MAX_RUNNING, stop.signal)
  const topics = new Map<string, string>()
  let running = 0

  app.addHook('preClose', async () => stop.abort())

  app.get('/tasks/demo', { schema: { querystring: TaskQuery } }, async (request, reply) => {
    const { steps = DEFAULT_STEPS, user } = request.query
    const { lastEventId, last_event_id: snake, 'Last-Event-ID': shout } = request.query
    const known = topics.get(String(request.headers['last-event-id'] || lastEventId || snake || shout))
    const topic = known ?? `tasks/demo/${randomUUID()}`
    const stream = await app.sse.follow(request, reply, topic, { user })
    if (stream === undefined || known !== undefined) return
    if (running === MAX_RUNNING) stream.close('limit')
    else
      run(topic, steps).catch((error) => stop.signal.aborted || app.log.error({ err: error }, 'the demo task failed'))
  })

  async function run(topic: string, steps: number): Promise<void> {
    running++
    try {
      // The first event at once: from then on the client's last event ID identifies its task.
      for (let done = 0; done <= steps; done++) {
        if (done > 0) await wait(step, undefined, { signal: stop.signal, ref: false })
        remember(topic, await app.sse.publish(topic, { event: 'progress', data: { step: done, steps } }))
      }
      remember(topic, await app.sse.publish(topic, { event: 'done', data: '[DONE]', final: true }))
    } finally {
      running--
    }
  }

  function remember(topic: string, { id }: { id: string | null }): void {
    if (id === null) return
    topics.set(id, topic)
    const [oldest] = topics.keys()
    if (topics.size > MAX_REMEMBERED && oldest !== undefined) topics.delete(oldest)
  }
}
