// Prices that replace each other: history has one event for each share, the newest.
import Fastify from 'fastify'
import sseHub from 'fastify-sse-hub'
import { pages } from '../pages/pages.mjs'

/** Milliseconds between two prices. */
const tick = Number(process.env.TICK ?? 700)

const app = Fastify({ logger: { level: 'warn' } })
await app.register(sseHub)
await app.register(pages, { folder: import.meta.dirname })

// A new page gets the newest price of each share at once, and one that returns only those that changed meanwhile.
app.get('/events', (request, reply) =>
  app.sse.connect(request, reply, { user: 'guest', topics: ['prices'], from: 'oldest' })
)

const shares = new Map(['ACME', 'GLOBEX', 'INITECH', 'UMBRELLA'].map((share, index) => [share, 100 + 40 * index]))

async function trade() {
  const share = [...shares.keys()][Math.floor(Math.random() * shares.size)]
  const before = shares.get(share)
  const price = Math.round(before * (98 + 4 * Math.random())) / 100
  shares.set(share, price)
  await app.sse.publish('prices', { event: 'price', data: { share, price, before }, collapseKey: share })
}

const timer = setInterval(() => trade().catch((error) => app.log.error(error, 'a price was not published')), tick)
app.addHook('preClose', async () => clearInterval(timer))

for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => app.close())
await app.listen({ port: Number(process.env.PORT ?? 3000) })
console.log(`open http://127.0.0.1:${app.server.address().port}/`)
