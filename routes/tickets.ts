import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Ticket, TicketWish } from '../services/tickets.ts'
import { TicketBody, TicketReceipt } from './schemas.ts'

/** Makes a ticket for whoever asks, or throws what he is refused with. */
export type IssueTicket = (request: FastifyRequest, wish: Partial<TicketWish>) => Promise<Ticket>

/** `POST /tickets`: what an event source, which cannot send headers, brings in its URL. */
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
