import Fastify from 'fastify'
import { sseHub } from '../../plugins/sse-hub.ts'
import { hubRoutes } from '../../routes/hub-routes.ts'
import { redisHub } from '../../services/redis-hub.ts'
import { userOfQuery } from './build.ts'

/** One node of a hub, as a process of its own; `node-process.ts` starts it. */
const { url, prefix, lease, startDegraded, ...hub } = JSON.parse(process.argv[2] as string)
const app = Fastify()
const parts = await redisHub({ url, prefix, lease, startDegraded, timeout: 1_000 })
await app.register(sseHub, { authenticate: userOfQuery, authorizeTopic: () => true, ...hub, ...parts })
await app.register(hubRoutes, { authorizePublish: () => true })
process.on('SIGTERM', () => app.close())
process.stdout.write(`open ${await app.listen({ host: '127.0.0.1', port: 0 })}\n`)
