// An app with a hub: `npm run build && node examples/orders.mjs`, then open http://127.0.0.1:3000/.
import Fastify from 'fastify'
import sseHub from 'fastify-sse-hub'

const app = Fastify({ logger: { level: 'warn' } })
await app.register(sseHub)

// The app identifies the user, here by a cookie. A client can open only the streams of its own user.
const userOf = (request) => /(?:^|; )user=(\w+)/.exec(request.headers.cookie ?? '')?.[1]

app.get('/events', (request, reply) => app.sse.connect(request, reply, { user: userOf(request), topics: ['offers'] }))

let orders = 0
app.post('/orders', async (request, reply) => {
  const id = ++orders
  reply.code(201)
  // Reaches all tabs of the user on every device, or the user's history if none is open.
  await app.sse.send(userOf(request), { event: 'order.placed', data: { id } })
  // A status replaces the one before: a client that returns later gets only the newest.
  for (const [index, status] of ['packed', 'shipped', 'delivered'].entries()) {
    setTimeout(
      () => app.sse.send(userOf(request), { event: 'order.status', data: { id, status }, collapseKey: `order/${id}` }),
      2_000 * (index + 1)
    )
  }
  return { id }
})

app.sse.on('undelivered', ({ user, event }) => console.log(`${user} is away: ${event} would go out as an e-mail`))

app.get('/', (_request, reply) => {
  reply.header('set-cookie', 'user=alice; HttpOnly; SameSite=Strict; Path=/').type('text/html')
  return `<!doctype html><title>Orders</title><button>Order</button><ul></ul><script>
    const list = document.querySelector('ul')
    const show = ({ type, data }) => list.append(Object.assign(document.createElement('li'), { textContent: type + ' ' + data }))
    const source = new EventSource('/events')
    source.addEventListener('order.placed', show)
    source.addEventListener('order.status', show)
    document.querySelector('button').onclick = () => fetch('/orders', { method: 'POST' })
  </script>`
})

await app.listen({ port: Number(process.env.PORT ?? 3000) })
console.log(`open http://127.0.0.1:${app.server.address().port}/`)
