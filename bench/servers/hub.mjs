import Fastify from 'fastify'
import sseHub, { hubRoutes } from '../../dist/index.js'
import { serve } from './control.mjs'

export const app = Fastify()
const heartbeatInterval = Number(process.env.BENCH_HEARTBEAT ?? 15_000)
await app.register(sseHub, {
  heartbeatInterval,
  maxEventBytes: 1_048_576,
  maxStreamsPerUser: 0,
  paceConnections: true,
  retention: JSON.parse(process.env.BENCH_RETENTION ?? '{}'),
  authenticate: ({ query }) => ({ user: query.user }),
  authorizeTopic: () => true
})
await app.register(hubRoutes, { authorize: () => true })
await serve(app, (user, data) => app.sse.send(user, { data }), { stats: () => app.sse.stats() })
