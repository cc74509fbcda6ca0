// Ten events, one a second, and the end: an `SseEmitter` with a thread of its own, as a generator.
import { setTimeout as wait } from 'node:timers/promises'
import sseHub from 'fastify-sse-hub'

export async function tenEvents(app, { tick }) {
  await app.register(sseHub)

  const querystring = { type: 'object', properties: { question: { type: 'string', maxLength: 200 } } }
  app.get('/events', { schema: { querystring } }, (request, reply) =>
    app.sse.stream(request, reply, (signal) => answer(request.query.question, signal))
  )

  // The signal is aborted when the client leaves, which ends the generator. A generator that throws ends the stream for good.
  async function* answer(question, signal) {
    for (let step = 1; step <= 10; step++) {
      await wait(tick, undefined, { signal })
      yield { data: question ? `${question} ${step}` : `Event ${step}` }
    }
  }
}
