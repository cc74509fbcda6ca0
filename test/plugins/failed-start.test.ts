import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { hubApp } from '../../app.ts'
import { type SseHubOptions, sseHub } from '../../plugins/sse-hub.ts'
import type { Cluster } from '../../services/cluster/cluster.ts'
import { SINGLE_NODE } from '../../services/cluster/single-node.ts'
import { embeddedLog } from '../../services/event-log/embedded/open-embedded-log.ts'
import type { EventLog } from '../../services/event-log/event-log.ts'

// A failed start, and a close with a failed step, still release the resources that the hub was given.

interface Parts {
  readonly log: EventLog
  readonly cluster: Cluster
  readonly path: string
  left: number
}

async function parts(t: Test): Promise<Parts> {
  const path = mkdtempSync(join(tmpdir(), 'failed-start-'))
  const log = await embeddedLog({ path })
  t.teardown(async () => {
    await log.close()
    rmSync(path, { recursive: true })
  })
  const given: Parts = {
    log,
    path,
    left: 0,
    cluster: {
      ...SINGLE_NODE,
      leave: async () => {
        given.left++
      }
    }
  }
  return given
}

function host(t: Test): FastifyInstance {
  const app = Fastify()
  t.teardown(() => app.close().catch(() => {}))
  return app
}

async function isReleased({ path }: Parts): Promise<boolean> {
  return embeddedLog({ path }).then(
    async (log) => {
      await log.close()
      return true
    },
    () => false
  )
}

const WRONG: [string, SseHubOptions][] = [
  ['an unknown option', { colour: 'red' } as SseHubOptions],
  ['an option that is out of range', { maxStreams: -1 }],
  ['an invalid clock', { clock: {} } as SseHubOptions],
  ['an invalid switch', { paceConnections: 'yes' } as unknown as SseHubOptions]
]

for (const [name, wrong] of WRONG) {
  t.test(`${name} closes the log and the cluster that were passed in`, async (t) => {
    for (const register of [
      (app: FastifyInstance, options: SseHubOptions) => app.register(sseHub, options),
      (app: FastifyInstance, options: SseHubOptions) => app.register(hubApp, { hub: options })
    ]) {
      const given = await parts(t)
      const { log, cluster } = given
      await t.rejects(async () => register(host(t), { log, cluster: cluster, ...wrong }), {
        code: 'SSE_HUB_ERR_INVALID_OPTION'
      })
      t.equal(await isReleased(given), true)
      t.ok(given.left > 0)
    }
  })
}

t.test('an invalid log does not hide the original error', async (t) => {
  const close = () => Promise.reject(new Error('cannot be closed'))
  for (const log of [7, {}, { close: 7 }, { close }]) {
    const registered = async () => host(t).register(sseHub, { log: log as unknown as EventLog })
    await t.rejects(registered, { code: 'SSE_HUB_ERR_INVALID_OPTION', message: /^Option log:/ })
  }
})

t.test('a log whose tail cannot be opened is closed', async (t) => {
  const given = await parts(t)
  const { cluster } = given
  const log = Object.assign(Object.create(given.log), {
    append: () => Promise.resolve([]),
    read: () => given.log.read({ channels: ['everyone'], from: 'head', limit: 1 }),
    stats: () => given.log.stats(),
    tail: () => Promise.reject(new Error('no tail')),
    close: () => given.log.close()
  })
  await t.rejects(async () => host(t).register(sseHub, { log, cluster: cluster }), { message: 'no tail' })
  t.equal(await isReleased(given), true)
  t.equal(given.left, 1)
})

t.test('a standalone hub whose later parts fail closes the log, too', async (t) => {
  const given = await parts(t)
  const { log, cluster } = given
  const app = host(t)
  // Registering the API fails, because its route exists already.
  app.get('/events', async () => 'taken')
  await t.rejects(async () => app.register(hubApp, { hub: { log, cluster: cluster } }))
  t.equal(await isReleased(given), true)
  t.equal(given.left, 1)
})

t.test('a standalone hub whose keys are invalid closes the log, too', async (t) => {
  const given = await parts(t)
  const { log, cluster } = given
  const authentication = { keys: [{}], publishers: 7, tokens: 7 } as never
  await t.rejects(async () => host(t).register(hubApp, { hub: { log, cluster: cluster }, authentication }))
  t.equal(await isReleased(given), true)
})

t.test('a hub that is registered twice keeps the log of the first', async (t) => {
  const { log } = await parts(t)
  const app = host(t)
  await app.register(sseHub, { log })
  await t.rejects(async () => app.register(sseHub, { log }))
  const { id } = await app.sse.send('alice', { data: 'a' })
  t.type(id, 'string')
})

t.test('a step of closing that fails does not keep the log open', async (t) => {
  for (const leave of [() => Promise.reject(new Error('nobody answers')), () => Promise.reject('no error')]) {
    const given = await parts(t)
    const app = Fastify()
    await app.register(sseHub, { log: given.log, cluster: { ...SINGLE_NODE, leave } })
    await app.ready()
    await t.rejects(app.sse.dispose())
    t.equal(await isReleased(given), true)
    await app.close().catch(() => {})
  }
})
