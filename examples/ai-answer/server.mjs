// Answers of a language model that no reload loses: words are events of a topic, and readers follow it.
import { randomUUID, timingSafeEqual } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import Fastify from 'fastify'
import sseHub, { hubRoutes } from 'fastify-sse-hub'
import { pages } from '../pages/pages.mjs'

/** Milliseconds of a word. */
const tick = Number(process.env.TICK ?? 150)
/** The key with which a model of another process publishes. */
const key = process.env.MODEL_KEY ?? randomUUID()
/** Answers that are generated at the same time. */
const MAX_RUNNING = 100
const running = new Map()

const app = Fastify({ logger: { level: 'warn' } })
app.addHook('preClose', async () => {
  for (const answer of running.values()) answer.abort()
})
await app.register(sseHub)
await app.register(pages, { folder: import.meta.dirname })
// A model in Python publishes its words here, and to topics of answers alone.
await app.register(hubRoutes, {
  prefix: '/hub-api',
  authorize: ({ headers }, { verb, target }) =>
    isModel(headers.authorization) &&
    verb === 'publish' &&
    (target.topics ?? []).every((topic) => topic.startsWith('answers/'))
})

const question = { type: 'string', minLength: 1, maxLength: 1_000 }
const body = { type: 'object', required: ['question'], properties: { question } }
app.post('/answers', { schema: { body } }, async (request, reply) => {
  if (running.size >= MAX_RUNNING) return reply.code(503).send({ message: 'Too many answers are under way' })
  const id = randomUUID()
  // The model works on, whether somebody reads or not.
  generate(id, request.body.question).catch((error) => app.log.error(error, `answer ${id} cannot be published`))
  return reply.code(202).send({ id })
})

app.delete('/answers/:id', (request, reply) => {
  running.get(request.params.id)?.abort()
  return reply.code(204).send()
})

// The id of an answer is a secret of the page that asked. An app asks here whether the user may read it.
const params = { type: 'object', properties: { id: { type: 'string', pattern: '^[\\w-]{1,64}$' } } }
app.get('/answers/:id', { schema: { params } }, (request, reply) =>
  app.sse.follow(request, reply, `answers/${request.params.id}`)
)

async function generate(id, question) {
  const stopping = new AbortController()
  running.set(id, stopping)
  const publish = (draft) => app.sse.publish(`answers/${id}`, draft)
  try {
    for await (const text of words(question, stopping.signal)) await publish({ event: 'token', data: { text } })
    await publish({ event: 'done', data: '[DONE]', final: true })
  } catch (error) {
    // While the app closes, nothing more can be published.
    if (app.sse.ready()) await publish({ event: 'failure', data: { message: error.message }, fail: true })
  } finally {
    running.delete(id)
  }
}

/** Stands for a language model. The signal ends the generation, and its costs. */
async function* words(question, signal) {
  const answer = `You ask “${question}” Streams break where something between gives up: a phone in a tunnel, a proxy, a restart. A stream whose events have ids goes on where it broke.`
  for (const text of answer.split(/(?<= )/)) {
    await wait(tick, undefined, { signal })
    yield text
  }
}

function isModel(authorization = '') {
  const [given, expected] = [Buffer.from(authorization), Buffer.from(`Bearer ${key}`)]
  return given.length === expected.length && timingSafeEqual(given, expected)
}

for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => app.close())
await app.listen({ port: Number(process.env.PORT ?? 3000) })
console.log(`open http://127.0.0.1:${app.server.address().port}/`)
