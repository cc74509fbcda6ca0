import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { HubAction } from '../services/access/action.ts'
import type { Permit } from './guard.ts'
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

/**
 * Whether the caller may perform an action. A caller without credentials may do nothing; invalid ones stay an error, which is
 * counted like any other attempt to guess a key.
 */
export async function isPermitted(permit: Permit, request: FastifyRequest, action: HubAction): Promise<boolean> {
  try {
    await permit(request, [action])
    return true
  } catch (error) {
    const { statusCode } = error as { statusCode?: number }
    if (statusCode === 403 || (statusCode === 401 && !hasCredentials(request))) return false
    throw error
  }
}

function hasCredentials({ headers }: FastifyRequest): boolean {
  return headers.authorization !== undefined || headers.cookie !== undefined
}
