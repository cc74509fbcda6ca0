// Five tutorials on server-sent events side by side, each a plugin with a hub of its own.
import Fastify from 'fastify'
import { pages } from '../pages/pages.mjs'
import { clientIds } from './client-ids.mjs'
import { doneMarker } from './done-marker.mjs'
import { lineReader } from './line-reader.mjs'
import { onlineCount } from './online-count.mjs'
import { tenEvents } from './ten-events.mjs'

/** Milliseconds between two events of a tutorial. */
const tick = Number(process.env.TICK ?? 1_000)

// `trustProxy`: nginx names the address of the client.
const app = Fastify({ logger: { level: 'warn' }, trustProxy: 'loopback' })
await app.register(pages, { folder: import.meta.dirname })
await app.register(tenEvents, { prefix: '/ten-events', tick })
await app.register(clientIds, { prefix: '/client-ids' })
await app.register(lineReader, { prefix: '/line-reader', tick: tick / 10 })
await app.register(doneMarker, { prefix: '/done-marker', tick })
await app.register(onlineCount, { prefix: '/online-count', tick })

for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => app.close())
await app.listen({ port: Number(process.env.PORT ?? 3000) })
console.log(`open http://127.0.0.1:${app.server.address().port}/`)
