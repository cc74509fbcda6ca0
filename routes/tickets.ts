import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Ticket, TicketRequest } from '../services/access/ticket-issuer.ts'
import { Revoked, TicketBody, TicketReceipt, UserParams } from './schemas.ts'

/** Issues a ticket, or throws an error if the caller may not have it. */
export type IssueTicket = (request: FastifyRequest, ticketRequest: Partial<TicketRequest>) => Promise<Ticket>

/** Revokes the tickets of a user and resolves with their number, or throws an error if the caller may not do so. */
export type RevokeTickets = (request: FastifyRequest, user: string) => Promise<number>

/** `DELETE /users/:user/tickets`. Streams stay open: `DELETE /users/:user/streams` closes them. */
export function revokeTicketsRoute(app: FastifyInstance, revoke: RevokeTickets): void {
  app
    .withTypeProvider<TypeBoxTypeProvider>()
    .delete(
      '/users/:user/tickets',
      { schema: { params: UserParams, response: { 200: Revoked } } },
      async (request) => ({ revoked: await revoke(request, request.params.user) })
    )
}

/** `POST /tickets`: a ticket authenticates an event source, which cannot send headers, by its URL. */
export function ticketsRoute(app: FastifyInstance, issue: IssueTicket): void {
  app
    .withTypeProvider<TypeBoxTypeProvider>()
    .post(
      '/tickets',
      { schema: { body: TicketBody, response: { 201: TicketReceipt } }, bodyLimit: 65_536 },
      async (request, reply) => {
        const { ticket, expiresAt } = await issue(request, request.body)
        reply.code(201).header('cache-control', 'no-store')
        return { ticket, expiresAt: new Date(expiresAt).toISOString() }
      }
    )
}
