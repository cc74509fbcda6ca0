// Orders in Postgres, and their events, in one transaction.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import Fastify from 'fastify'
import sseHub from 'fastify-sse-hub'
import { embeddedLog } from 'fastify-sse-hub/embedded'
import pg from 'pg'
import { pages } from '../pages/pages.mjs'
import { Relay } from './relay.mjs'

const { DATABASE_URL = 'postgres://localhost/postgres', HUB_FOLDER = join(import.meta.dirname, 'outbox-data') } =
  process.env
/** Longer than the app is ever down: for so long the hub recognises a row that it has published. */
const WEEK = 7 * 86_400_000

const app = Fastify({ logger: { level: 'warn' } })
const pool = new pg.Pool({ connectionString: DATABASE_URL })
pool.on('error', (error) => app.log.error(error, 'a connection that nobody used has failed'))
await pool.query(await readFile(join(import.meta.dirname, 'schema.sql'), 'utf8'))

let relay
let listener
// Registered before the hub, so that the relay stops while the hub is still open.
app.addHook('preClose', async () => {
  await relay?.stop()
  await listener?.end()
})
app.addHook('onClose', () => pool.end())

// History and idempotency keys are in a folder, and outlive the process.
await app.register(sseHub, { log: await embeddedLog({ path: HUB_FOLDER, idempotencyWindow: WEEK }) })
await app.register(pages, { folder: import.meta.dirname })
relay = new Relay({ pool, hub: app.sse, log: app.log })

app.get('/events', (request, reply) => app.sse.connect(request, reply, { user: 'alice' }))

const quantity = { type: 'integer', maximum: 1_000 }
const body = { type: 'object', required: ['quantity'], properties: { quantity } }
app.post('/orders', { schema: { body } }, async (request, reply) => {
  const { quantity } = request.body
  const order = await inTransaction(async (client) => {
    const { rows } = await client.query('INSERT INTO orders (customer, quantity) VALUES ($1, $2) RETURNING id', [
      'alice',
      quantity
    ])
    const id = Number(rows[0].id)
    const draft = { event: 'order.placed', data: { id, quantity } }
    await client.query('INSERT INTO outbox (target, draft) VALUES ($1, $2)', [{ users: ['alice'] }, draft])
    return { id }
  })
  return reply.code(201).send(order)
})

async function inTransaction(work) {
  const client = await pool.connect()
  try {
    await client.query('BEGIN')
    const result = await work(client)
    await client.query('COMMIT')
    client.release()
    return result
  } catch (error) {
    client.release(error)
    // A constraint of a table, such as a quantity of nothing.
    if (error.code === '23514') throw Object.assign(new Error('There is no such quantity'), { statusCode: 422 })
    throw error
  }
}

listener = new pg.Client({ connectionString: DATABASE_URL })
// Without it the relay still looks every two seconds.
listener.on('error', (error) => app.log.error(error, 'the relay is no longer woken'))
listener.on('notification', () => relay.wake())
await listener.connect()
await listener.query('LISTEN outbox')
relay.start()

for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => app.close())
await app.listen({ port: Number(process.env.PORT ?? 3000) })
console.log(`open http://127.0.0.1:${app.server.address().port}/`)
