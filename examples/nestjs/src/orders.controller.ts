import { Controller, Get, HttpCode, Param, ParseIntPipe, Post, Req, Res, UnauthorizedException } from '@nestjs/common'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { NotificationsService } from './notifications.service.js'

@Controller()
export class OrdersController {
  constructor(private readonly notifications: NotificationsService) {}

  /** With `@Res()` Nest leaves the reply to the handler, which passes it to the hub. Guards run before, as for any route. */
  @Get('events')
  events(@Req() request: FastifyRequest<{ Querystring: { user?: string } }>, @Res() reply: FastifyReply) {
    const { user } = request.query
    // A name in the URL is for a first try only: an app takes it from a guard.
    if (user === undefined) throw new UnauthorizedException('?user= is missing')
    return this.notifications.connect(request, reply, user)
  }

  @Post('orders/:id/ship')
  @HttpCode(200)
  ship(@Param('id', ParseIntPipe) id: number) {
    return this.notifications.orderShipped('alice', id)
  }
}
