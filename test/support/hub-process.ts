import Fastify from 'fastify'
import { closeInOrder } from '../../plugins/last-connections.ts'
import { sseHub } from '../../plugins/sse-hub.ts'
import { hubRoutes } from '../../routes/hub-routes.ts'
import { redisHub } from '../../services/hub/redis-hub-parts.ts'
import { userOfQuery } from './build.ts'

/** One node of a hub, as a process of its own; `node-process.ts` starts it. */
const { url, prefix, lease, startDegraded, port = 0, page, ...hub } = JSON.parse(process.argv[2] as string)
// As in the standalone hub: event sources never reconnect after a 503.
const app = Fastify({ return503OnClosing: false })
const parts = await redisHub({ url, prefix, lease, startDegraded, timeout: 1_000 })
await app.register(sseHub, { authenticate: userOfQuery, authorizeTopic: () => true, ...hub, ...parts })
for (const name of ['online', 'offline'] as const)
  app.sse.on(name, ({ user }) => process.stdout.write(`presence ${name} ${user}\n`))
await app.register(hubRoutes, { authorize: () => true })
if (page !== undefined) app.get('/', (_request, reply) => reply.type('text/html').send(page))
closeInOrder(app)
process.on('SIGTERM', () => app.close())
process.stdout.write(`open ${await app.listen({ host: '127.0.0.1', port })}\n`)
