import { setTimeout as wait } from 'node:timers/promises'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance } from 'fastify'
import { TaskQuery } from './schemas.ts'

/** A step a second: slow enough to watch, and to be cut in the middle. */
const STEP = 1_000
const DEFAULT_STEPS = 10
/** Tasks that run at a time, and events of theirs that are remembered: it is a demo, and open to whoever finds it. */
const MAX_RUNNING = 100
const MAX_REMEMBERED = 10_000

/**
 * `GET /tasks/demo?steps=10`: a task that reports a step a second and then ends, as a finite stream.
 *
 * An event source that is cut comes back to the same URL, so the URL cannot say which task it was following; the last event
 * that it was given can.
 */
export function demoTaskRoute(root: FastifyInstance): void {
  const app = root.withTypeProvider<TypeBoxTypeProvider>()
  const stop = new AbortController()
  const topics = new Map<string, string>()
  let started = 0
  let running = 0

  app.addHook('preClose', async () => stop.abort())

  app.get('/tasks/demo', { schema: { querystring: TaskQuery } }, async (request, reply) => {
    const { steps = DEFAULT_STEPS, user } = request.query
    const lastEventId = request.headers['last-event-id'] ?? request.query.lastEventId ?? request.query.last_event_id
    const known = topics.get(String(lastEventId))
    const topic = known ?? `tasks/demo/${++started}`
    const stream = await app.sse.follow(request, reply, topic, { user })
    if (stream === undefined || known !== undefined) return
    if (running === MAX_RUNNING) stream.close('limit')
    else
      run(topic, steps).catch((error) => stop.signal.aborted || app.log.error({ err: error }, 'the demo task failed'))
  })

  async function run(topic: string, steps: number): Promise<void> {
    running++
    try {
      for (let step = 1; step <= steps; step++) {
        await wait(STEP, undefined, { signal: stop.signal, ref: false })
        remember(topic, await app.sse.publish(topic, { event: 'progress', data: { step, steps } }))
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
