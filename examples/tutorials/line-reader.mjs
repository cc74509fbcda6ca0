// An answer in the form of the chat APIs, for clients that read lines: POST with a key, words, and `[DONE]`.
import { setTimeout as wait } from 'node:timers/promises'
import sseHub from 'fastify-sse-hub'

/** An example: a real key comes from the environment, and differs for each client. */
const KEY = 'demo'

export async function lineReader(app, { tick }) {
  await app.register(sseHub)

  const question = { type: 'string', minLength: 1, maxLength: 1_000 }
  const body = { type: 'object', required: ['question'], properties: { question } }
  const onRequest = async (request, reply) => {
    if (request.headers.authorization !== `Bearer ${KEY}`)
      return reply.code(401).send({ error: 'Authorization: Bearer demo' })
  }
  app.post('/chat/completions', { schema: { body }, onRequest }, (request, reply) =>
    app.sse.stream(request, reply, (signal) => words(request.body.question, signal))
  )

  async function* words(question, signal) {
    // Text goes out as it is, and anything else as JSON.
    yield { event: 'customEvent', data: { model: 'parrot', question } }
    for (const content of `You asked: ${question}\nA line end in data is two lines on the wire.`.split(/(?= )/)) {
      await wait(tick, undefined, { signal })
      yield { data: { choices: [{ delta: { content } }] } }
    }
    yield { data: '[DONE]' }
  }
}
