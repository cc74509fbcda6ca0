import { Injectable } from '@nestjs/common'
import { HttpAdapterHost } from '@nestjs/core'
import type { FastifyAdapter } from '@nestjs/platform-fastify'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'

/** The hub, for controllers and other services. */
@Injectable()
export class NotificationsService {
  constructor(private readonly host: HttpAdapterHost<FastifyAdapter>) {}

  private get hub(): FastifyInstance['sse'] {
    return (this.host.httpAdapter.getInstance() as unknown as FastifyInstance).sse
  }

  connect(request: FastifyRequest, reply: FastifyReply, user: string): Promise<unknown> {
    return this.hub.connect(request, reply, { user })
  }

  orderShipped(user: string, id: number): Promise<{ id: string; streams: number }> {
    return this.hub.send(user, { event: 'order.shipped', data: { id } })
  }
}
