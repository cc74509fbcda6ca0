// Short-lived tokens for requests, and tickets for event sources, which send no headers.
import { randomBytes } from 'node:crypto'
import jwt from '@fastify/jwt'
import Fastify from 'fastify'
import sseHub, { authentication, hubRoutes, redactingSerializers } from 'fastify-sse-hub'
import { pages } from '../pages/pages.mjs'

const secret = process.env.JWT_SECRET ?? randomBytes(32).toString('hex')
/** The tokens are for this hub alone. */
const AUDIENCE = 'notifications'

// Tickets are part of a URL: these serializers keep them out of the log.
const app = Fastify({ logger: { level: 'warn', serializers: redactingSerializers } })
await app.register(jwt, { secret })
const hubAuth = await authentication(app, { subscribers: { keys: [secret], audience: AUDIENCE } })
await app.register(sseHub, { authenticate: hubAuth.authenticate, authorizeTopic: hubAuth.authorizeTopic })
await app.register(hubRoutes, {
  prefix: '/hub-api',
  issueTicket: hubAuth.issueTicket,
  revokeTickets: hubAuth.revokeTickets
})
await app.register(pages, { folder: import.meta.dirname })

// Your login checks a password, or is that of another service which signs with a key that the hub knows.
const user = { type: 'string', enum: ['alice', 'bob'] }
const body = { type: 'object', required: ['user'], properties: { user } }
app.post('/login', { schema: { body } }, async (request) => {
  const claims = { sub: request.body.user, aud: AUDIENCE, topics: ['news'] }
  return { token: app.jwt.sign(claims, { expiresIn: process.env.TOKEN_LIFE ?? '5m' }) }
})

app.post('/notifications', { onRequest: (request) => request.jwtVerify({ allowedAud: AUDIENCE }) }, (request) =>
  app.sse.send(request.user.sub, { event: 'notification', data: { at: new Date().toISOString() } })
)

for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => app.close())
await app.listen({ port: Number(process.env.PORT ?? 3000) })
console.log(`open http://127.0.0.1:${app.server.address().port}/`)
