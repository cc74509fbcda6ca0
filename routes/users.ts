import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance } from 'fastify'
import { guardWith, isPermitted, type Permit, paramOf } from './guard.ts'
import {
  Closed,
  CloseQuery,
  InspectedStreams,
  OnlineUsers,
  PageQuery,
  StreamParams,
  UserParams,
  UserPresence
} from './schemas.ts'

/** `/users` and `/streams`: presence, and the closing of streams. */
export function userRoutes(root: FastifyInstance, permit: Permit): void {
  const guard = guardWith(permit)
  const app = root.withTypeProvider<TypeBoxTypeProvider>()
  const readUser = guard((request) => [{ verb: 'read', user: paramOf(request, 'user') }])

  app.get(
    '/users',
    { schema: { querystring: PageQuery, response: { 200: OnlineUsers } }, onRequest: guard(() => [{ verb: 'read' }]) },
    (request) => app.sse.online(request.query)
  )

  app.get(
    '/users/:user',
    { schema: { params: UserParams, response: { 200: UserPresence } }, onRequest: readUser },
    (request) => app.sse.presence(request.params.user)
  )

  app.get(
    '/users/:user/streams',
    { schema: { params: UserParams, response: { 200: InspectedStreams } }, onRequest: readUser },
    async (request, reply) => {
      const { user } = request.params
      reply.header('cache-control', 'no-store')
      // An address is personal: an operator sees it, a reader of presence does not.
      const seesAddresses = await isPermitted(permit, request, { verb: 'close', user })
      const streams = await app.sse.inspect(user)
      return { streams: seesAddresses ? streams : streams.map(({ address: _, ...stream }) => stream) }
    }
  )

  app.delete(
    '/users/:user/streams',
    {
      schema: { params: UserParams, querystring: CloseQuery, response: { 200: Closed } },
      onRequest: guard((request) => [{ verb: 'close', user: paramOf(request, 'user') }])
    },
    async (request) => ({ closed: await app.sse.disconnect(request.params.user, request.query) })
  )

  app.delete(
    '/streams/:id',
    {
      schema: { params: StreamParams, querystring: CloseQuery, response: { 200: Closed } },
      onRequest: guard((request) => [{ verb: 'close', stream: paramOf(request, 'id') }])
    },
    async (request) => ({ closed: await app.sse.disconnect({ stream: request.params.id }, request.query) })
  )
}
