import t from 'tap'
import { redisLink, redisLogOn } from '../../services/event-log/redis/open-redis-log.ts'
import type { RedisLink } from '../../services/redis/link.ts'
import { pause, startServer } from '../support/exactly-once.ts'
import { RedisServer, withoutRedis } from '../support/redis-server.ts'
import { StreamClient } from '../support/stream-client.ts'

t.setTimeout(60_000)

/** A connection whose duplicates are not up before a promise is fulfilled. */
function withLateTail(link: RedisLink, opening: Promise<void>): RedisLink {
  const lateOf = (line: RedisLink) =>
    wrapped(line, { untilUp: (milliseconds) => opening.then(() => line.untilUp(milliseconds)) })
  return wrapped(link, { duplicate: (options) => lateOf(link.duplicate(options)) })
}

function wrapped(link: RedisLink, replaced: Partial<RedisLink>): RedisLink {
  return new Proxy(link, {
    get(target, name) {
      const own = replaced[name as keyof RedisLink]
      if (own !== undefined) return own
      const value: unknown = Reflect.get(target, name, target)
      return typeof value === 'function' ? value.bind(target) : value
    }
  })
}

t.test(
  'a stream that opens before the tail has been reached begins with now, and misses nothing after',
  { skip: withoutRedis },
  async (t) => {
    const redis = await RedisServer.start({ isDurable: true })
    t.teardown(() => redis.stop())
    const before = await startServer({ log: await redisLogOn(await redisLink({ url: redis.url }), { url: redis.url }) })
    await before.app.sse.send('alice', { data: 'history' })
    await before.app.close()
    await redis.kill()

    let open = () => {}
    const opening = new Promise<void>((resolve) => {
      open = resolve
    })
    const link = await redisLink({ url: redis.url })
    const log = await redisLogOn(withLateTail(link, opening), { url: redis.url, startDegraded: true })
    const { app, url } = await startServer({ log, heartbeatInterval: 100 })
    t.teardown(() => app.close())
    t.throws(() => app.sse.cursor(), { code: 'SSE_HUB_ERR_LOG_UNAVAILABLE', statusCode: 503 })
    await redis.start()
    await link.untilUp(10_000)
    t.equal(await app.sse.ready(), false, 'an event published now would reach no stream here')

    const client = await StreamClient.open(`${url}/events?user=alice`)
    t.teardown(() => client.cut())
    const welcome = await client.event('hub.welcome')
    t.match(JSON.parse(welcome.data), { resumed: false, replayed: 0 })
    t.match(welcome.id, /^1\.\w{14}$/, 'it carries the head of the log')
    const newest = await StreamClient.open(`${url}/events?user=alice&last=1`)
    t.teardown(() => newest.cut())
    await newest.count(1)
    const resumed = await StreamClient.open(`${url}/events?user=alice`, { lastEventId: welcome.id ?? '' })
    t.teardown(() => resumed.cut())
    t.match(JSON.parse((await resumed.event('hub.welcome')).data), { resumed: true, replayed: 0 })
    await app.sse.send('alice', { data: 'meanwhile' })
    t.throws(() => app.sse.cursor(), { code: 'SSE_HUB_ERR_LOG_UNAVAILABLE' })
    open()
    while (!(await app.sse.ready())) await pause(10)
    await app.sse.send('alice', { data: 'after' })
    await Promise.all([client.count(2), newest.count(3), resumed.count(2)])
    for (const [each, texts] of [
      [client, ['meanwhile', 'after']],
      [newest, ['history', 'meanwhile', 'after']],
      [resumed, ['meanwhile', 'after']]
    ] as const) {
      t.same(
        each.published.map(({ data }) => data),
        texts
      )
      t.notMatch(each.text, /hub\.gap/)
    }
    t.match(app.sse.cursor(), /^3\.\w{14}$/)
  }
)
