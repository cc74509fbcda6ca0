// The time of the server, for all pages at once, and ten steps to an end.
import { setTimeout as wait } from 'node:timers/promises'
import Fastify from 'fastify'
import sseHub from 'fastify-sse-hub'
import { pages } from '../pages/pages.mjs'

/** Milliseconds of a second, and of a step. */
const tick = Number(process.env.TICK ?? 1_000)

const app = Fastify({ logger: { level: 'warn' } })
await app.register(sseHub)
await app.register(pages, { folder: import.meta.dirname })

app.get('/time', (request, reply) => app.sse.connect(request, reply, { user: 'guest', topics: ['clock'] }))

// The time of a second ago is worth nothing: such events are transient, without an id and without history.
async function tellTime() {
  const { streams } = await app.sse.topic('clock')
  if (streams === 0) return
  const data = { time: new Date().toISOString(), streams }
  await app.sse.publish('clock', { event: 'time', data, transient: true })
}

const timer = setInterval(() => tellTime().catch((error) => app.log.error(error, 'the time was not published')), tick)
app.addHook('preClose', async () => clearInterval(timer))

// A stream of its own for each reader. It ends for good, and its signal ends the generator if the reader leaves.
app.get('/steps', (request, reply) => app.sse.stream(request, reply, steps))

async function* steps(signal) {
  for (let step = 1; step <= 10; step++) {
    await wait(tick, undefined, { signal })
    yield { event: 'step', data: { step, of: 10 } }
  }
}

for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => app.close())
await app.listen({ port: Number(process.env.PORT ?? 3000) })
console.log(`open http://127.0.0.1:${app.server.address().port}/`)
