// One node of a cluster. With a Redis: `npm run build`, then `PORT=3001 node examples/cluster/node.mjs` for each node.
// Or the whole cluster: `docker compose -f examples/cluster/compose.yml up --build`.
import Fastify from 'fastify'
import sseHub, { hubRoutes } from 'fastify-sse-hub'
import { redisHub } from 'fastify-sse-hub/redis'

const { HOST = '127.0.0.1', PORT = '3000', REDIS_URL = 'redis://127.0.0.1:6379' } = process.env

// `trustProxy`: nginx names the address of the client.
const app = Fastify({ logger: { level: 'warn' }, trustProxy: true })
await app.register(sseHub, { ...(await redisHub({ url: REDIS_URL, prefix: 'example' })) })

// Every client may take any user's name and do everything: an example, not for the open network.
const authenticate = ({ query }) => (typeof query.user === 'string' ? { user: query.user } : undefined)
await app.register(hubRoutes, { authenticate, authorizeTopic: () => true, authorize: () => true })

for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => app.close())
await app.listen({ host: HOST, port: Number(PORT), backlog: 4_096 })
