// A host that uses all cores: a hub in each worker process, joined by one Redis.
// With a Redis: `npm run build`, then `PORT=3000 node examples/workers/server.mjs`.
import cluster from 'node:cluster'
import { availableParallelism } from 'node:os'
import Fastify from 'fastify'
import sseHub, { hubRoutes } from 'fastify-sse-hub'
import { redisHub } from 'fastify-sse-hub/redis'

const { PORT = '3000', REDIS_URL = 'redis://127.0.0.1:6379', WORKERS = String(availableParallelism()) } = process.env

if (cluster.isPrimary) supervise(Number(WORKERS))
else await serve()

/** Starts the workers, replaces those that die, and ends with them. */
function supervise(count) {
  let isStopping = false
  for (const signal of ['SIGTERM', 'SIGINT']) {
    process.on(signal, () => {
      isStopping = true
      for (const worker of Object.values(cluster.workers)) worker.process.kill('SIGTERM')
    })
  }
  cluster.on('exit', ({ process: { pid } }, code, signal) => {
    if (isStopping) return
    console.error(`worker ${pid} has ended (${signal ?? code})`)
    // A second later: a worker that cannot start must not keep the machine busy.
    setTimeout(() => isStopping || cluster.fork(), 1_000)
  })
  for (let worker = 0; worker < count; worker++) cluster.fork()
}

async function serve() {
  const app = Fastify({ logger: { level: 'warn' } })
  await app.register(sseHub, { ...(await redisHub({ url: REDIS_URL, prefix: 'example' })) })

  // Every client may take any user's name and do everything: an example, not for the open network.
  const authenticate = ({ query }) => (typeof query.user === 'string' ? { user: query.user } : undefined)
  await app.register(hubRoutes, { authenticate, authorizeTopic: () => true, authorize: () => true })

  process.once('SIGTERM', async () => {
    await app.close()
    process.exit()
  })
  // Ctrl-C reaches the workers, too; the primary process passes it on.
  process.on('SIGINT', () => {})
  // All workers listen on the same port.
  await app.listen({ port: Number(PORT), backlog: 4_096 })
  console.log(`worker ${process.pid} serves http://127.0.0.1:${app.server.address().port}/`)
}
