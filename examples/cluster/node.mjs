// One node of a cluster. With a Redis: `npm run build`, then `PORT=3001 node examples/cluster/node.mjs` for each node.
// Or three of them: `npm run example cluster`; behind nginx: `docker compose -f examples/cluster/compose.yml up --build`.
import { hostname } from 'node:os'
import Fastify from 'fastify'
import sseHub, { hubRoutes } from 'fastify-sse-hub'
import { redisHub } from 'fastify-sse-hub/redis'
import { pages } from '../pages/pages.mjs'

const { HOST = '127.0.0.1', PORT = '3000', REDIS_URL = 'redis://127.0.0.1:6379' } = process.env
const node = `${hostname()}:${process.pid}`

// `trustProxy`: nginx names the address of the client.
const app = Fastify({ logger: { level: 'warn' }, trustProxy: true })
await app.register(sseHub, { ...(await redisHub({ url: REDIS_URL, prefix: 'example' })), welcome: () => ({ node }) })
await app.register(pages, { folder: import.meta.dirname })

// Every client may take any user's name and do everything: an example, not for the open network.
const authenticate = ({ query }) => (typeof query.user === 'string' ? { user: query.user } : undefined)
await app.register(hubRoutes, { authenticate, authorizeTopic: () => true, authorize: () => true })

for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => app.close())
await app.listen({ host: HOST, port: Number(PORT), backlog: 4_096 })
console.log(`open http://127.0.0.1:${app.server.address().port}/`)
