// Orders whose status the customer watches, and e-mails about those that stayed unseen.
import Fastify from 'fastify'
import sseHub from 'fastify-sse-hub'
import { pages } from '../pages/pages.mjs'

/** How long the customer has to see an event before an e-mail goes out, and how long a status lasts, in milliseconds. */
const [unreadAfter, tick] = [Number(process.env.UNREAD_AFTER ?? 5_000), Number(process.env.TICK ?? 1_500)]
const STATUSES = ['packed', 'shipped', 'delivered']
/** E-mails that are remembered; a database would keep them. */
const MAX_SENT = 10_000

const app = Fastify({ logger: { level: 'warn' } })
const timers = new Set()
app.addHook('preClose', async () => {
  for (const timer of timers) clearTimeout(timer)
})
await app.register(sseHub, { unreadAfter })
await app.register(pages, { folder: import.meta.dirname })

// An app takes the user from a session: see the example `session-login`.
const userOf = () => 'alice'

app.get('/events', (request, reply) => app.sse.connect(request, reply, { user: userOf(request) }))
// The mailbox of the page stands for a mail server.
app.get('/mailbox', (request, reply) => app.sse.connect(request, reply, { user: 'mailbox', from: 'oldest' }))

let orders = 0
app.post('/orders', async (_request, reply) => {
  const [id, user] = [++orders, userOf()]
  // In the inbox the order waits until it is read, on this page or on another device.
  await app.sse.send(user, { event: 'order.placed', data: { id }, inbox: true })
  for (const [index, status] of STATUSES.entries()) later(tick * (index + 1), () => report(user, id, status))
  return reply.code(201).send({ id })
})

/** A status replaces the one before: a page that returns gets only the newest. */
async function report(user, id, status) {
  await app.sse.send(user, { event: 'order.status', data: { id, status }, collapseKey: `order/${id}` })
}

function later(delay, work) {
  const timer = setTimeout(() => {
    timers.delete(timer)
    work().catch((error) => app.log.error(error, 'a status was not sent'))
  }, delay)
  timers.add(timer)
}

// The page says what the customer has seen.
const body = { type: 'object', required: ['upTo'], properties: { upTo: { type: 'string', maxLength: 64 } } }
app.post('/read', { schema: { body } }, (request) => app.sse.markRead(userOf(request), request.body.upTo))

// Emitted once for each event that stayed unread, over all nodes; after the end of a node perhaps again, with the same id.
const sent = new Set()
app.sse.on('unread', ({ users, id, data }) => {
  for (const user of users) {
    const key = `${id} ${user}`
    if (sent.has(key)) continue
    sent.add(key)
    if (sent.size > MAX_SENT) sent.delete(sent.values().next().value)
    sendMail(user, JSON.parse(data)).catch((error) => {
      sent.delete(key)
      app.log.error(error, 'an e-mail was not sent')
    })
  }
})

/** Stands for a transport of nodemailer: see the example `webhooks`. */
async function sendMail(to, { id }) {
  await app.sse.send('mailbox', { event: 'mail', data: { to, subject: `Your order ${id}` } })
}

for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => app.close())
await app.listen({ port: Number(process.env.PORT ?? 3000) })
console.log(`open http://127.0.0.1:${app.server.address().port}/`)
