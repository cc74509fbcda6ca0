// Answers that are written while they are read: `npm run build && node examples/answers.mjs`, then
// `curl -N 'http://127.0.0.1:3000/answers?question=why'`.
import { setTimeout as wait } from 'node:timers/promises'
import Fastify from 'fastify'
import sseHub from 'fastify-sse-hub'

const app = Fastify({ logger: { level: 'warn' } })
await app.register(sseHub)

// The generator stands for a model that is asked for its answer. The signal is aborted when the reader goes away, so that
// nobody is paid for words that nobody reads.
async function* answer(question, signal) {
  for (const word of `You ask "${question}"; that depends, as most things do.`.split(' ')) {
    await wait(150, undefined, { signal })
    yield { event: 'token', data: word }
  }
  yield { event: 'done', data: '[DONE]' }
}

// No faster than the reader takes it, and closed for good at its end: an EventSource does not come back and ask again.
app.get('/answers', (request, reply) =>
  app.sse.stream(request, reply, (signal) => answer(String(request.query.question ?? ''), signal))
)

await app.listen({ port: Number(process.env.PORT ?? 3000) })
console.log(`open http://127.0.0.1:${app.server.address().port}/answers?question=why`)
