import Fastify from 'fastify'
import sseHub, { hubRoutes } from '../../dist/index.js'
import { control } from './control.mjs'

const app = Fastify()
const heartbeatInterval = Number(process.env.BENCH_HEARTBEAT ?? 15_000)
await app.register(sseHub, {
  heartbeatInterval,
  maxEventBytes: 1_048_576,
  maxStreamsPerUser: 0,
  authenticate: ({ query }) => ({ user: query.user }),
  authorizeTopic: () => true
})
await app.register(hubRoutes, { authorizePublish: () => true })
await app.listen({ port: 0, host: '127.0.0.1' })
control({ port: app.server.address().port, name: 'fastify-sse-hub' })
