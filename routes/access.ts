import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance } from 'fastify'
import type { HubAction } from '../services/access/action.ts'
import { isPermitted, type Permit } from './guard.ts'
import { Access } from './schemas.ts'

const ACTIONS = {
  publish: { verb: 'publish', target: {} },
  close: { verb: 'close' },
  read: { verb: 'read' },
  ticket: { verb: 'ticket' }
} as const satisfies Record<string, HubAction>

/** `GET /access`: the rights of the caller, so that a page shows no control that would be refused. */
export function accessRoute(root: FastifyInstance, permit: Permit, { hasTickets }: { hasTickets: boolean }): void {
  root
    .withTypeProvider<TypeBoxTypeProvider>()
    .get('/access', { schema: { response: { 200: Access } } }, async (request, reply) => {
      reply.header('cache-control', 'no-store')
      return {
        publish: await isPermitted(permit, request, ACTIONS.publish),
        close: await isPermitted(permit, request, ACTIONS.close),
        read: await isPermitted(permit, request, ACTIONS.read),
        ticket: hasTickets && (await isPermitted(permit, request, ACTIONS.ticket))
      }
    })
}
