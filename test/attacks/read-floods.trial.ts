import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { hubApp } from '../../app.ts'
import { embeddedLog } from '../../services/event-log/embedded/open-embedded-log.ts'
import type { EventLog } from '../../services/event-log/event-log.ts'
import { redisLog } from '../../services/event-log/redis/open-redis-log.ts'
import { failOnWarnings } from '../support/build.ts'
import { effort } from '../support/effort.ts'
import { RedisServer, withoutRedis } from '../support/redis-server.ts'
import { StreamClient } from '../support/stream-client.ts'

failOnWarnings(t)

const TOPICS = Array.from({ length: 100 }, (_, index) => `topic-${index}`)
/** Number of events in each topic, and number of connections of the attacker. */
const EACH = 200
const CONNECTIONS = 20
/** Duration of the attack, in milliseconds. */
const DURATION = effort(3_000, 15_000)
/** Maximum duration of an innocent publish, in milliseconds. */
const LONGEST = 1_000
const FLOOD = new URL('../support/read-flood.mjs', import.meta.url)

t.setTimeout(120_000)

async function node(t: Test, log: EventLog | undefined): Promise<{ app: FastifyInstance; url: string }> {
  const app = Fastify({ forceCloseConnections: true })
  t.teardown(() => app.close())
  await app.register(hubApp, { hub: { log }, loopbackOnly: false })
  return { app, url: await app.listen({ host: '127.0.0.1', port: 0 }) }
}

async function fill(app: FastifyInstance): Promise<void> {
  for (let batch = 0; batch < (TOPICS.length * EACH) / 1_000; batch++) {
    await app.sse.publishBatch(
      Array.from({ length: 1_000 }, (_, index) => ({
        to: { topics: [TOPICS[index % 100] as string] },
        data: 'x'.repeat(200)
      }))
    )
  }
}

/** Resolves with the number of streams that the attacker has opened. */
async function attack(url: string): Promise<number> {
  const path = `/events?user=mallory&last=1000&topics=${TOPICS.join(',')}`
  const workerData = { url: `${url}${path}`, connections: CONNECTIONS, milliseconds: DURATION }
  const [opened] = await once(new Worker(FLOOD, { workerData }), 'message')
  return opened as number
}

/** Publishes repeatedly, one event after the other. Returns the duration of each. */
async function publish(url: string, until: number): Promise<{ times: number[]; failed: string[] }> {
  const times: number[] = []
  const failed: string[] = []
  while (performance.now() < until) {
    const begun = performance.now()
    const response = await fetch(`${url}/users/alice/events`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ data: `${url} ${times.length}` })
    })
    if (response.status === 202) times.push(performance.now() - begun)
    else failed.push(await response.text())
  }
  return { times, failed }
}

/** @param other a second node that innocent publishers use. */
async function endure(t: Test, attacked: { app: FastifyInstance; url: string }, other = attacked): Promise<void> {
  await fill(attacked.app)
  const alice = await StreamClient.open(`${attacked.url}/events?user=alice`)
  const { times: calm } = await publish(attacked.url, performance.now() + 1_000)
  const until = performance.now() + DURATION
  const [opened, ...publishers] = await Promise.all([
    attack(attacked.url),
    publish(attacked.url, until),
    publish(other.url, until)
  ])
  const times = publishers.flatMap((publisher) => publisher.times).sort((a, b) => a - b)
  const at = (part: number) => times[Math.floor(part * (times.length - 1))] as number
  t.comment(
    `${opened} openings; ${times.length} publishes, p50 ${at(0.5).toFixed()} p99 ${at(0.99).toFixed()} max ${at(1).toFixed()} ms`
  )
  t.ok(opened > CONNECTIONS, 'the attack opened streams')
  t.same(
    publishers.flatMap(({ failed }) => failed),
    [],
    'no publish fails'
  )
  t.ok(at(0.99) < LONGEST, `p99 is ${at(0.99)} ms`)
  await alice.count(calm.length + times.length)
  alice.cut()
}

t.test('one subscriber that reads history in a loop delays no publish: memory', async (t) => {
  await endure(t, await node(t, undefined))
})

t.test('one subscriber that reads history in a loop delays no publish: folder', async (t) => {
  const path = mkdtempSync(join(tmpdir(), 'read-floods-'))
  t.teardown(() => rmSync(path, { recursive: true }))
  await endure(t, await node(t, await embeddedLog({ path, durability: 'process' })))
})

t.test(
  'one subscriber that reads history in a loop delays no publish: Redis, on any node',
  { skip: withoutRedis },
  async (t) => {
    const redis = await RedisServer.start()
    const nodes = []
    for (const _ of [1, 2]) nodes.push(await node(t, await redisLog({ url: redis.url })))
    t.teardown(() => redis.stop())
    await endure(t, nodes[0] as (typeof nodes)[0], nodes[1])
  }
)
