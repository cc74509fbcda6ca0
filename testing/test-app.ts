import Fastify, { type FastifyInstance } from 'fastify'
import { type SseHubOptions, sseHub } from '../plugins/sse-hub.ts'

interface EventsQuery {
  readonly user?: string
  readonly topics?: string
}

/**
 * An app with a hub and nothing else, to test code that gets the hub passed. Its route `GET /events?user=alice&topics=a,b` opens
 * a stream without asking for credentials. It does not listen; close it at the end of the test.
 * @param options those of the plugin.
 */
export async function testApp(options: SseHubOptions = {}): Promise<FastifyInstance> {
  const app = Fastify()
  await app.register(sseHub, options)
  app.get('/events', (request, reply) => {
    const { user = '', topics } = request.query as EventsQuery
    return app.sse.connect(request, reply, { user, topics: topics?.split(',') ?? [] })
  })
  await app.ready()
  return app
}
