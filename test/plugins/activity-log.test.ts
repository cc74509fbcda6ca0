import Fastify from 'fastify'
import t, { type Test } from 'tap'
import { hubApp } from '../../app.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { StreamClient } from '../support/stream-client.ts'

interface Line {
  readonly level: number
  readonly msg: string
  readonly [name: string]: unknown
}

async function build(t: Test, level: string) {
  const lines: Line[] = []
  const clock = new FakeClock()
  const app = Fastify({ logger: { level, stream: { write: (line: string) => lines.push(JSON.parse(line)) } } })
  t.teardown(() => app.close())
  await app.register(hubApp, { hub: { clock } })
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  const incidents = () => lines.filter(({ msg }) => msg === 'incidents of streams')
  return { app, clock, lines, incidents, url }
}

t.test('each stream that opens and closes has a line at level debug, and none above', async (t) => {
  const { app, lines, url } = await build(t, 'debug')
  const quiet = await build(t, 'info')
  for (const { app: hub, url: address } of [{ app, url }, quiet]) {
    const client = await StreamClient.open(`${address}/events?user=alice&topics=news`)
    await client.event('hub.welcome')
    await hub.sse.disconnect('alice')
    await client.end()
  }
  const about = lines.filter(({ msg }) => /a stream was/.test(msg))
  t.match(about, [
    { level: 20, msg: 'a stream was opened', stream: String, user: 'alice', topics: 1 },
    { level: 20, msg: 'a stream was closed', user: 'alice', reason: 'kicked', age: 0 }
  ])
  t.equal(about.length, 2)
  t.same(
    quiet.lines.filter(({ msg }) => /a stream was/.test(msg)),
    []
  )
})

t.test('incidents have one line in ten seconds with their numbers, and silence has none', async (t) => {
  const { app, clock, incidents, url } = await build(t, 'warn')
  clock.advance(30_000)
  t.same(incidents(), [])
  for (let caller = 0; caller < 50; caller++) await app.inject('/events')
  const client = await StreamClient.open(`${url}/events?user=alice`, { lastEventId: 'forged' })
  await client.event('hub.gap')
  clock.advance(10_000)
  t.match(incidents(), [{ level: 40, 'refused unauthenticated': 50, 'gap unknown': 1, seconds: 10 }])
  clock.advance(10_000)
  t.equal(incidents().length, 1, 'they are not reported again')
  await app.inject('/events')
  clock.advance(10_000)
  t.match(incidents()[1], { 'refused unauthenticated': 1 })
  t.notOk('gap unknown' in (incidents()[1] as object))
  client.cut()
})
