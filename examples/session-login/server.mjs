// A session cookie names the user, of requests and of streams.
import { randomBytes } from 'node:crypto'
import cookie from '@fastify/cookie'
import session from '@fastify/session'
import Fastify from 'fastify'
import sseHub from 'fastify-sse-hub'
import { pages } from '../pages/pages.mjs'

/** An hour, in milliseconds. */
const MAX_AGE = 3_600_000
/** A database would keep them, hashed by scrypt or argon2. */
const PASSWORDS = new Map([
  ['alice', 'wonderland'],
  ['bob', 'builder']
])

const app = Fastify({ logger: { level: 'warn' } })
await app.register(cookie)
await app.register(session, {
  // With a secret of the environment, sessions outlive a restart, given a store that does.
  secret: process.env.SESSION_SECRET ?? randomBytes(32).toString('hex'),
  // `secure: true` behind TLS. `strict` keeps pages of other sites from opening streams and sending requests.
  cookie: { httpOnly: true, maxAge: MAX_AGE, path: '/', sameSite: 'strict', secure: false },
  saveUninitialized: false
})
await app.register(sseHub, {
  // Called for each stream, also when one returns. Nothing is 401, which ends the source of a user who is logged out.
  authenticate: ({ session }) => {
    const user = session.get('user')
    // The stream ends with its session.
    return user === undefined ? undefined : { user, expiresAt: session.cookie.expires.getTime() }
  }
})
await app.register(pages, { folder: import.meta.dirname })

app.get('/events', (request, reply) => app.sse.connect(request, reply))

const text = { type: 'string', maxLength: 64 }
const credentials = { type: 'object', required: ['user', 'password'], properties: { user: text, password: text } }
app.post('/login', { schema: { body: credentials } }, async (request, reply) => {
  const { user, password } = request.body
  if (PASSWORDS.get(user) !== password) return reply.code(401).send({ message: 'The name or the password is wrong' })
  // A new id, so that nobody can plant a session that the user then fills.
  await request.session.regenerate()
  request.session.set('user', user)
  return { user }
})

app.get('/me', async (request, reply) => {
  const user = request.session.get('user')
  return user === undefined ? reply.code(401).send({ message: 'Nobody is logged in' }) : { user }
})

app.post('/notifications', async (request, reply) => {
  const user = request.session.get('user')
  if (user === undefined) return reply.code(401).send({ message: 'Nobody is logged in' })
  return app.sse.send(user, { event: 'notification', data: { at: new Date().toISOString() } })
})

app.post('/logout', async (request, reply) => {
  const user = request.session.get('user')
  await request.session.destroy()
  // All streams of the user return: those of this session are answered 401, those of other devices resume without a loss.
  if (user !== undefined) await app.sse.disconnect(user, { reconnect: true })
  return reply.code(204).send()
})

for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => app.close())
await app.listen({ port: Number(process.env.PORT ?? 3000) })
console.log(`open http://127.0.0.1:${app.server.address().port}/`)
