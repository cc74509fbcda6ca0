// Tasks that run without a reader, and whose progress any page can follow from the beginning.
import { randomUUID } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import Fastify from 'fastify'
import sseHub from 'fastify-sse-hub'
import { pages } from '../pages/pages.mjs'

/** Milliseconds of a step. */
const tick = Number(process.env.TICK ?? 400)
/** Tasks that are remembered; a database would keep them. And tasks that run at the same time. */
const [MAX_TASKS, MAX_RUNNING] = [1_000, 100]

const app = Fastify({ logger: { level: 'warn' } })
await app.register(sseHub)
await app.register(pages, { folder: import.meta.dirname })

const tasks = new Set()
let running = 0
const stopping = new AbortController()
app.addHook('preClose', async () => stopping.abort())

const body = { type: 'object', properties: { fails: { type: 'boolean' } } }
app.post('/tasks', { schema: { body } }, async (request, reply) => {
  if (running >= MAX_RUNNING) return reply.code(503).send({ message: 'Too many tasks are under way' })
  const id = randomUUID()
  tasks.add(id)
  if (tasks.size > MAX_TASKS) tasks.delete(tasks.values().next().value)
  // The task is not awaited: the answer is the id, and the topic has the rest.
  running++
  run(id, request.body.fails === true)
    .catch((error) => stopping.signal.aborted || app.log.error(error, `task ${id} cannot report its progress`))
    .finally(() => running--)
  return reply.code(202).send({ id })
})

// Follows the topic from its oldest event to the final one. An app asks here whether the user may see the task.
app.get('/tasks/:id/events', (request, reply) => {
  const { id } = request.params
  if (!tasks.has(id)) return reply.code(404).send({ error: 'no such task' })
  return app.sse.follow(request, reply, topicOf(id))
})

const topicOf = (id) => `tasks/${id}`

async function run(id, fails) {
  const report = (draft) => app.sse.publish(topicOf(id), draft)
  try {
    for (let percent = 0; percent < 100; percent += 5) {
      // Of the percentages only the newest is worth a replay.
      await report({ event: 'progress', data: { percent }, collapseKey: 'progress' })
      await wait(tick, undefined, { signal: stopping.signal })
      if (fails && percent === 60) throw new Error('page 7 has no title')
    }
  } catch (error) {
    // Like `final`, and the streams end with the reason `failed`.
    await report({ event: 'failure', data: { message: error.message }, fail: true })
    return
  }
  await report({ event: 'done', data: { url: `/reports/${id}.pdf` }, final: true })
}

for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => app.close())
await app.listen({ port: Number(process.env.PORT ?? 3000) })
console.log(`open http://127.0.0.1:${app.server.address().port}/`)
