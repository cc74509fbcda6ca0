import { setTimeout as wait } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { compiledHub } from '../support/compiled-hub.ts'
import { effort } from '../support/effort.ts'
import { Random } from '../support/random.ts'
import { RedisServer, withoutRedis } from '../support/redis-server.ts'
import { ServerProcess } from '../support/server-process.ts'
import { StreamClient } from '../support/stream-client.ts'
import { untilSame } from '../support/test-node.ts'
import { SECRET, WebhookReceiver } from '../support/webhook-receiver.ts'

const SEED = Number(process.env.TEST_SEED ?? Date.now() % 1_000_000)
const KILLS = effort(4, 12)

t.comment(`TEST_SEED=${SEED} KILLS=${KILLS}`)
const folder = await compiledHub()
t.setTimeout(240_000 + KILLS * 10_000)

function startHub(t: Test, receiver: WebhookReceiver, env: Record<string, string>): ServerProcess {
  const webhooks = { HUB_WEBHOOK_URL: receiver.url, HUB_WEBHOOK_SECRET: SECRET }
  return new ServerProcess(t, { LOG_LEVEL: 'warn', ...webhooks, ...env }, [process.execPath, `${folder}/server.js`])
}

/** Publishes to an absent user. Returns the id, or undefined if the hub did not acknowledge the event. */
async function send(url: string, data: string): Promise<string | undefined> {
  try {
    const response = await fetch(`${url}/users/alice/events`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ data })
    })
    return response.status === 202 ? ((await response.json()) as { id: string }).id : undefined
  } catch {
    return undefined
  }
}

const textsOf = (receiver: WebhookReceiver) =>
  receiver.messages.filter(({ body }) => body.type === 'event.undelivered').map(({ body }) => body.data.data as string)

/** Counts what was acknowledged and not delivered, delivered twice, or out of order. */
function faultsOf(receiver: WebhookReceiver, acknowledged: readonly string[]) {
  const texts = textsOf(receiver)
  const known = new Set(texts)
  return {
    lost: acknowledged.filter((text) => !known.has(text)).length,
    doubled: texts.length - known.size,
    disordered: texts.filter((text, at) => at > 0 && Number(text) < Number(texts[at - 1])).length,
    forged: receiver.forged.length
  }
}

const NO_FAULTS = { lost: 0, doubled: 0, disordered: 0, forged: 0 }

t.test('a hub that is killed again and again loses no webhook, and sends each under one id', async (t) => {
  const receiver = await WebhookReceiver.start(t)
  const random = new Random(SEED)
  const store = t.testdir()
  const acknowledged: string[] = []
  let number = 0
  let hub = startHub(t, receiver, { HUB_STORE: `${store}/history` })
  for (let kill = 0; kill < KILLS; kill++) {
    const url = await hub.url()
    const killAt = acknowledged.length + random.from(2, 40)
    const delay = random.from(0, 20)
    let killed: Promise<unknown> | undefined
    for (let isUp = true; isUp; ) {
      const text = String(number++)
      const id = await send(url, text)
      if (id !== undefined) acknowledged.push(text)
      else isUp = false
      if (acknowledged.length === killAt) killed = wait(delay).then(() => hub.stop('SIGKILL'))
    }
    await killed
    hub = startHub(t, receiver, { HUB_STORE: `${store}/history` })
  }
  await hub.url()
  await receiver.until(() => faultsOf(receiver, acknowledged).lost === 0, 'every acknowledged event')
  t.comment(`${acknowledged.length} acknowledged, ${receiver.attempts.length} attempts`)
  t.same(faultsOf(receiver, acknowledged), NO_FAULTS)
  const repeated = receiver.attempts.length - receiver.messages.length
  t.ok(repeated <= KILLS, `${repeated} attempts were repeated, at most one for each kill`)
  t.ok(acknowledged.length > KILLS)
  t.equal(await hub.stop('SIGTERM'), 0)
  t.equal(hub.stderr, '')
})

t.test('a receiver that is away for a while gets everything once, also after a restart of the hub', async (t) => {
  const receiver = await WebhookReceiver.start(t)
  const env = { HUB_STORE: `${t.testdir()}/history` }
  const first = startHub(t, receiver, env)
  const url = await first.url()
  await send(url, '0')
  await receiver.until(() => receiver.attempts.length === 1, 'the first message')
  await receiver.down()
  for (let number = 1; number <= 20; number++) await send(url, String(number))
  t.equal(await first.stop('SIGTERM'), 0)
  const second = startHub(t, receiver, env)
  await send(await second.url(), '21')
  await second.logged('a webhook was not delivered')
  t.notMatch(second.stdout + first.stdout, /canary|whsec_/)
  await receiver.up()
  await receiver.until(() => receiver.messages.length === 22, 'all messages')
  t.equal(receiver.attempts.length, 22, 'each once')
  t.same(faultsOf(receiver, []), NO_FAULTS)
  t.match(await (await fetch(`${await second.url()}/stats`)).json(), { webhooks: { dropped: 0, gaps: 0 } })
})

t.test('an event that stays unread is reported once, although the hub is killed before its time', async (t) => {
  const receiver = await WebhookReceiver.start(t)
  const env = { HUB_STORE: `${t.testdir()}/history`, HUB_WEBHOOK_UNREAD_AFTER: '2000' }
  const first = startHub(t, receiver, env)
  const url = await first.url()
  const response = await fetch(`${url}/users/alice/events`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"data":"for later","inbox":true}'
  })
  const { id } = (await response.json()) as { id: string }
  await first.stop('SIGKILL')
  const second = startHub(t, receiver, env)
  await send(await second.url(), 'not for an inbox')
  const unread = () => receiver.messages.filter(({ body }) => body.type === 'event.unread').map(({ body }) => body.data)
  await receiver.until(() => unread().length > 0, 'the unread event')
  await second.stop('SIGKILL')
  const third = startHub(t, receiver, env)
  await send(await third.url(), 'after everything')
  await receiver.until(() => textsOf(receiver).includes('after everything'), 'the last message')
  t.same(unread(), [{ users: ['alice'], id, event: 'message', data: 'for later' }])
})

t.test('of two nodes one sends at a time, and the other takes over', { skip: withoutRedis }, async (t) => {
  const redis = await RedisServer.start()
  t.teardown(() => redis.stop())
  const receiver = await WebhookReceiver.start(t)
  const env = { HUB_STORE: `${redis.url}?prefix=webhooks` }
  const nodes = [startHub(t, receiver, env), startHub(t, receiver, env)] as const
  const urls = await Promise.all(nodes.map((node) => node.url()))
  const acknowledged: string[] = []
  let number = 0
  const sendOn = async (url: string) => {
    const text = String(number++)
    if ((await send(url, text)) !== undefined) acknowledged.push(text)
  }
  const isSettled = () => faultsOf(receiver, acknowledged).lost === 0
  const sentBy = async (url: string) => {
    const { webhooks } = (await (await fetch(`${url}/stats`)).json()) as { webhooks: { delivered: number } }
    return webhooks.delivered
  }

  const elsewhere = await StreamClient.open(`${urls[1]}/events?user=bob`)
  await elsewhere.event('hub.welcome')
  const isOnline = async () => ((await (await fetch(`${urls[0]}/users/bob`)).json()) as { online: boolean }).online
  await untilSame(isOnline, true)
  await fetch(`${urls[0]}/users/bob/events`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"data":"bob is on the other node"}'
  })

  for (let turn = 0; turn < 50; turn++) await sendOn(urls[turn % 2] as string)
  await receiver.until(isSettled, 'all events of both nodes')
  const isOnlineSent = () => receiver.messages.some(({ body }) => body.type === 'user.online')
  await receiver.until(isOnlineSent, 'the presence of bob')
  const counts = await Promise.all(urls.map(sentBy))
  t.same(new Set(counts), new Set([0, 51]), 'one node sends everything: 50 events, and that bob came online')
  const holder = counts[0] === 0 ? 1 : 0
  const other = 1 - holder

  receiver.respond = (response) => response.writeHead(503).end()
  for (let turn = 0; turn < 5; turn++) await sendOn(urls[turn % 2] as string)
  await nodes[holder]?.stop('SIGKILL')
  for (let turn = 0; turn < 5; turn++) await sendOn(urls[other] as string)
  receiver.respond = (response) => response.writeHead(200).end()
  const killed = performance.now()
  while (!isSettled() && performance.now() - killed < 30_000) await wait(50)
  t.comment(`taken over within ${Math.round(performance.now() - killed)} ms`)
  t.same(faultsOf(receiver, acknowledged), NO_FAULTS)
  t.equal(receiver.maxOpen, 1, 'one request at a time')
  t.ok((await sentBy(urls[other] as string)) >= 10)
  t.notOk(
    textsOf(receiver).some((text) => text.includes('bob')),
    'a user of the other node is not absent'
  )

  const successor = startHub(t, receiver, env)
  const url = await successor.url()
  t.equal(await nodes[other]?.stop('SIGTERM'), 0)
  const stopped = performance.now()
  await sendOn(url)
  await receiver.until(isSettled, 'the event of the successor')
  t.ok(performance.now() - stopped < 5_000, 'a node that stops gives its role up at once')
  t.same(faultsOf(receiver, acknowledged), NO_FAULTS)
})

t.test('the server does not start with settings that cannot work', async (t) => {
  const receiver = await WebhookReceiver.start(t)
  const hub = startHub(t, receiver, { HUB_WEBHOOK_SECRET: '' })
  t.equal(await hub.ended(), 1)
  t.match(hub.stderr, /^fastify-sse-hub: HUB_WEBHOOK_SECRET must be set with HUB_WEBHOOK_URL/)
})
