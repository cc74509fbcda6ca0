// Chat rooms: a topic for each room, everyone but the author, and presence.
import Fastify from 'fastify'
import sseHub, { hubRoutes } from 'fastify-sse-hub'
import { pages } from '../pages/pages.mjs'

const ROOMS = ['kitchen', 'garden']
/** Users that the list of those who are online names. */
const MAX_LISTED = 100

const app = Fastify({ logger: { level: 'warn' } })
await app.register(sseHub, {
  // A name in the URL is for a first try only: the example `session-login` identifies users.
  authenticate: ({ query }) =>
    typeof query.user === 'string' ? { user: query.user, topics: ['presence'] } : undefined,
  authorizeTopic: (_identity, topic) => ROOMS.includes(roomOf(topic))
})
// `GET /chat/events`, and `PUT /chat/streams/:id/topics`, by which a client changes its room.
await app.register(hubRoutes, { prefix: '/chat' })
await app.register(pages, { folder: import.meta.dirname })

const topicOf = (room) => `room/${room}`
const roomOf = (topic) => /^room\/(.+)$/.exec(topic)?.[1]

const params = { type: 'object', properties: { room: { type: 'string', enum: ROOMS } } }
const name = { type: 'string', minLength: 1, maxLength: 64 }
const text = { type: 'string', minLength: 1, maxLength: 1_000 }
const body = { type: 'object', required: ['user', 'text'], properties: { user: name, text } }

// The page of the author shows the message at once, so no stream of the author needs it.
app.post('/rooms/:room/messages', { schema: { params, body } }, async (request, reply) => {
  const { user, text } = request.body
  const draft = { event: 'message', data: { user, text } }
  return reply.code(201).send(await app.sse.publish(topicOf(request.params.room), draft, { except: { users: [user] } }))
})

// All messages of the room, those of the reader as well: `except` concerns streams, not history.
app.get('/rooms/:room/messages', { schema: { params } }, async (request) => {
  const { events } = await app.sse.history({ topic: topicOf(request.params.room) }, { limit: 100 })
  return events.map(({ id, data }) => ({ id, ...JSON.parse(data) }))
})

app.get('/rooms/:room', { schema: { params } }, (request) => app.sse.topic(topicOf(request.params.room)))

// Emitted once for each user, not for each tab, and not for a reload.
app.sse.on('online', () => tellWhoIsOnline())
app.sse.on('offline', () => tellWhoIsOnline())

async function online() {
  const { users } = await app.sse.online({ limit: MAX_LISTED })
  return users.map(({ user }) => user)
}

function tellWhoIsOnline() {
  online()
    .then((users) => app.sse.publish('presence', { event: 'presence', data: { users }, transient: true }))
    .catch((error) => app.log.error(error, 'presence was not published'))
}

// A page asks once; the events say what changes from then on.
app.get('/online', async () => ({ users: await online() }))

for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => app.close())
await app.listen({ port: Number(process.env.PORT ?? 3000) })
console.log(`open http://127.0.0.1:${app.server.address().port}/`)
