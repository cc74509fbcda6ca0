import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { sseHub } from '../../plugins/sse-hub.ts'
import { reset } from '../../testing/reset.ts'
import { FakeClock, FaultProxy, openStream, testApp } from '../../testing.ts'

/** The app of a host, with a route that opens streams and one that sends. */
async function hostOf(t: Test): Promise<FastifyInstance> {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(sseHub)
  app.get('/events', (request, reply) => {
    const { user } = request.headers as { user?: string }
    return app.sse.connect(request, reply, { user: user as string })
  })
  app.post<{ Params: { id: string } }>('/orders/:id/ship', ({ params }) =>
    app.sse.send('alice', { event: 'order.shipped', data: params })
  )
  return app
}

const ALICE = { headers: { user: 'alice' } }

for (const isListening of [false, true]) {
  t.test(`through ${isListening ? 'a socket' : 'inject()'}`, async (t) => {
    const host = async (t: Test) => {
      const app = await hostOf(t)
      if (isListening) await app.listen({ host: '127.0.0.1', port: 0 })
      return app
    }

    t.test('a route that sends is tested in five lines', async (t) => {
      const app = await host(t)
      const stream = await openStream(app, '/events', ALICE)
      await app.inject({ method: 'POST', url: '/orders/42/ship' })
      t.same((await stream.next('order.shipped')).data, { id: '42' })
      await stream.close()
    })

    t.test('a stream that was cut resumes with its cursor', async (t) => {
      const app = await host(t)
      const stream = await openStream(app, '/events', ALICE)
      await app.sse.send('alice', { event: 'a', data: 1 })
      const { id } = await stream.next('a')
      stream.cut()
      t.equal(stream.isEnded, true)
      await app.sse.send('alice', { event: 'b', data: 'text' })
      await stream.resume()
      t.equal((await stream.next('b')).data, 'text')
      t.match((await stream.next('hub.welcome')).data, { resumed: false })
      t.match((await stream.next('hub.welcome')).data, { resumed: true, replayed: 1 })
      t.same(
        stream.all().map(({ event }) => event),
        ['a', 'b']
      )
      t.not(stream.lastEventId, id)
      await stream.close()
    })

    t.test('a stream that gets nothing says so, and what else it gets', async (t) => {
      const app = await host(t)
      const stream = await openStream(app, '/events', ALICE)
      await app.sse.send('bob', { data: 'for another user' })
      await stream.expectNothing()
      await app.sse.send('alice', { event: 'greeting', data: 'hello' })
      await t.rejects(stream.expectNothing(), {
        name: 'TestStreamError',
        message: 'expected no event; the stream has greeting hello'
      })
      await stream.next('greeting')
      await stream.expectNothing()
      await stream.close()
    })

    t.test('the end of a stream is an event to wait for', async (t) => {
      const app = await host(t)
      const stream = await openStream(app, '/events', ALICE)
      const ended = stream.ended()
      await app.sse.disconnect('alice')
      t.same((await ended)?.data, { reason: 'kicked', reconnect: false })
      await t.rejects(stream.next('a'), {
        message: /^the stream has ended without an event "a"; arrived: hub\.welcome /
      })
    })

    t.test('a refusal is an error with its status and its body', async (t) => {
      const app = await host(t)
      await t.rejects(openStream(app, '/events'), {
        name: 'TestStreamError',
        status: 401,
        message: /^\/events was answered 401: .*SSE_HUB_ERR_UNAUTHENTICATED/
      })
      await t.rejects(openStream(app, '/nowhere'), { message: /answered 404/ })
    })
  })
}

t.test('an event that does not come is an error that names what came', async (t) => {
  const app = await hostOf(t)
  const stream = await openStream(app, '/events', { ...ALICE, timeout: 1 })
  await app.sse.send('alice', { event: 'a', data: 1 })
  await t.rejects(stream.next('b'), { message: /^an event "b" has not arrived within 1 ms; arrived: hub\.welcome/ })
  await stream.close()
})

t.test('a client that stalls becomes a slow one, and gets everything when it reads on', async (t) => {
  const app = await hostOf(t)
  await app.listen({ host: '127.0.0.1', port: 0 })
  const stream = await openStream(app, '/events', { ...ALICE, timeout: 30_000 })
  stream.stall()
  const data = 'x'.repeat(60_000)
  for (let at = 0; at < 100; at++) await app.sse.send('alice', { data })
  await stream.resume()
  for (let at = 0; at < 100; at++) t.equal((await stream.next()).text.length, data.length)
  await stream.close()
})

t.test('a test of a hub alone needs no route, and can own its clock', async (t) => {
  const clock = new FakeClock()
  const app = await testApp({ clock, heartbeatInterval: 15_000 })
  t.teardown(() => app.close())
  const [alice, bob] = [
    await openStream(app, '/events?user=alice&topics=news,sport'),
    await openStream(app, '/events?user=bob')
  ]
  await app.sse.publish('sport', { data: '2:1' })
  t.equal((await alice.next()).data, '2:1')
  await bob.expectNothing()
  clock.advance(16_000)
  await bob.next('hub.heartbeat')
  await Promise.all([alice.close(), bob.close()])
})

t.test('a proxy cuts a stream, and refuses until it is restored', async (t) => {
  const app = await hostOf(t)
  await app.listen({ host: '127.0.0.1', port: 0 })
  const proxy = await FaultProxy.start((app.server.address() as AddressInfo).port)
  t.teardown(() => proxy.close())
  const stream = await openStream(proxy.url, '/events', ALICE)
  await app.sse.send('alice', { event: 'a', data: 1 })
  await stream.next('a')
  await stream.expectNothing()
  const ended = stream.ended()
  proxy.cut()
  t.equal(await ended, undefined)
  await t.rejects(stream.resume())
  await app.sse.send('alice', { event: 'b', data: 2 })
  proxy.restore()
  await stream.resume()
  t.equal((await stream.next()).event, 'b')
  await stream.close()
})

t.test('a connection whose end is being sent can be reset', async (t) => {
  const server = createServer().listen(0, '127.0.0.1')
  t.teardown(() => server.close())
  await once(server, 'listening')
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1')
  client.on('error', () => {}).resume()
  const [socket] = (await once(server, 'connection')) as [Socket]
  const closed = once(socket, 'close')
  socket.end('bye')
  reset(socket)
  await closed
  await once(client, 'close')
})
