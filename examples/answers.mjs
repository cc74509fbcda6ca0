// Answers that are streamed while they are generated: `npm run build && node examples/answers.mjs`, then
// `curl -N 'http://127.0.0.1:3000/answers?question=why'`.
import { setTimeout as wait } from 'node:timers/promises'
import Fastify from 'fastify'
import sseHub from 'fastify-sse-hub'

const app = Fastify({ logger: { level: 'warn' } })
await app.register(sseHub)

// The generator stands for a language model. The signal is aborted when the reader leaves, so that no words are
// generated, and paid for, without a reader.
async function* answer(question, signal) {
  for (const word of `You ask "${question}"; that depends, as most things do.`.split(' ')) {
    await wait(150, undefined, { signal })
    yield { event: 'token', data: word }
  }
  yield { event: 'done', data: '[DONE]' }
}

// The generator waits for slow readers. The stream is closed for good at its end, so an EventSource does not reconnect.
app.get('/answers', (request, reply) =>
  app.sse.stream(request, reply, (signal) => answer(String(request.query.question ?? ''), signal))
)

await app.listen({ port: Number(process.env.PORT ?? 3000) })
console.log(`open http://127.0.0.1:${app.server.address().port}/answers?question=why`)
