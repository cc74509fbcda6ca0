import type { AddressInfo } from 'node:net'
import Fastify, { type FastifyInstance } from 'fastify'
import type { Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { sseHub } from '../../plugins/sse-hub.ts'
import { hubRoutes } from '../../routes/hub-routes.ts'
import { Gateway } from '../support/gateway.ts'
import { type Engine, launchEngines, launchFreezingEngine, PLAIN_HOST, type Tab, untilIn } from './engines.ts'

t.setTimeout(300_000)

const BUNDLER = '../../scripts/bundle-client.mjs'
const { minified } = (await import(BUNDLER)) as { minified(entry: string, names: string[]): Promise<string> }
const CLIENT = await minified('client-shared.ts', ['connectShared'])
/** In milliseconds: how long a test waits for a page before it fails. */
const PATIENCE = 30_000
const TABS = 10

const PAGE = `<!doctype html><title>shared</title><script type="module">
import { connectShared } from '/client.js'
const query = new URLSearchParams(location.search)
window.seen = []
window.roles = []
window.errors = []
window.stream = connectShared('/hub/events?user=' + (query.get('as') ?? query.get('user')), {
  user: query.get('user'),
  persist: 'session',
  random: () => 0,
  leaderTimeout: Number(query.get('leaderTimeout') ?? 3000)
})
stream.on('*', ({ text }) => seen.push(text))
stream.on('error', ({ code, message }) => errors.push(code + ' ' + message))
</script>`

/** A hub behind a gateway, and its tabs. */
class Site {
  readonly gateway = new Gateway()
  readonly #t: Test
  readonly #engine: Engine
  #app: FastifyInstance | undefined

  constructor(t: Test, engine: Engine) {
    this.#t = t
    this.#engine = engine
  }

  async start(): Promise<void> {
    this.gateway.files.set('/', { type: 'text/html', text: PAGE })
    this.gateway.files.set('/client.js', { type: 'text/javascript', text: CLIENT })
    await this.gateway.start()
    const app = Fastify({ forceCloseConnections: true })
    await app.register(sseHub, {
      reconnectionTime: 100,
      maxStreamsPerUser: 30,
      retention: { user: 5_000 }
    })
    await app.register(hubRoutes, {
      prefix: '/hub',
      authenticate: ({ query }) => ({ user: (query as { user: string }).user }),
      authorizeTopic: () => true
    })
    await app.listen({ host: '127.0.0.1', port: 0 })
    this.gateway.target = (app.server.address() as AddressInfo).port
    this.#app = app
    this.#t.teardown(async () => {
      await this.gateway.close()
      await app.close()
    })
  }

  async openTab(user = 'alice', query = '', origin = this.gateway.url): Promise<Tab> {
    const tab = await this.#engine.newTab()
    // A crashed tab cannot be closed.
    this.#t.teardown(() => tab.close().catch(() => undefined))
    await tab.goto(`${origin}/?user=${user}${query}`)
    await until([tab], "stream.state.name === 'open' && stream.lastEventId !== undefined")
    return tab
  }

  async openTabs(count: number, query = ''): Promise<Tab[]> {
    const tabs: Tab[] = []
    for (let at = 0; at < count; at++) tabs.push(await this.openTab('alice', query))
    return tabs
  }

  async send(...texts: string[]): Promise<void> {
    for (const data of texts) await this.#app?.sse.send('alice', { event: 'n', data })
  }

  async sendTo(user: string, data: string): Promise<void> {
    await this.#app?.sse.send(user, { event: 'n', data })
  }

  async publish(topic: string, data: string): Promise<void> {
    await this.#app?.sse.publish(topic, { event: 'n', data })
  }

  /** Resolves once a stream of alice has the topic, or none has it any more. */
  async untilTopic(topic: string, isThere: boolean): Promise<void> {
    await untilTrue(async () => {
      const { streams } = (await this.#app?.sse.presence('alice')) ?? { streams: [] }
      return streams.some(({ topics }) => topics.includes(topic)) === isThere
    }, `topic ${topic}: ${isThere}`)
  }
}

async function untilTrue(isTrue: () => unknown, what: string): Promise<void> {
  const end = performance.now() + PATIENCE
  while (!(await isTrue())) {
    if (performance.now() > end) throw new Error(`waited in vain for ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

const REPORT = 'JSON.stringify({ seen, errors, state: stream.state, role: stream.role, id: stream.lastEventId })'

async function until(tabs: readonly Tab[], condition: string): Promise<void> {
  for (const tab of tabs) await untilIn(tab, condition, REPORT)
}

const seenBy = (tab: Tab) => tab.evaluate<string[]>('seen')
const roles = (tabs: readonly Tab[]) => Promise.all(tabs.map((tab) => tab.evaluate<string>('stream.role')))

/** Takes the leader away from a list of tabs. */
async function leaderOf(tabs: Tab[]): Promise<Tab> {
  let at = -1
  await untilTrue(async () => {
    at = (await roles(tabs)).indexOf('leader')
    return at >= 0
  }, 'a leader')
  const [leader] = tabs.splice(at, 1)
  return leader as Tab
}

/** Three tabs with an event, of which one leads: `others` are the rest. */
async function openLed(t: Test, engine: Engine) {
  const site = new Site(t, engine)
  await site.start()
  const tabs = await site.openTabs(3, '&leaderTimeout=2000')
  await site.send('one')
  await until(tabs, 'seen.length === 1')
  const others = [...tabs]
  const leader = await leaderOf(others)
  return { site, tabs, leader, others }
}

for (const engine of await launchEngines(t)) {
  const { name, skip } = engine

  t.test(
    `${name}: ${TABS} tabs share one stream, over HTTP/1.1, and each gets every event once`,
    { skip },
    async (t) => {
      const site = new Site(t, engine)
      await site.start()
      const tabs = await site.openTabs(TABS)
      await site.send('one', 'two', 'three')
      await until(tabs, "seen.at(-1) === 'three'")
      for (const tab of tabs) t.same(await seenBy(tab), ['one', 'two', 'three'])
      await untilTrue(() => site.gateway.streams === 1, 'one stream')
      t.same((await roles(tabs)).sort(), [...Array(TABS - 1).fill('follower'), 'leader'])
    }
  )

  t.test(`${name}: a leader that is closed passes the stream on without a loss`, { skip }, async (t) => {
    const site = new Site(t, engine)
    await site.start()
    const tabs = await site.openTabs(4)
    await site.send('one')
    await until(tabs, 'seen.length === 1')
    for (const text of ['two', 'three']) {
      const leader = await leaderOf(tabs)
      await Promise.all([leader.close(), site.send(`${text} meanwhile`)])
      await site.send(text)
      await until(tabs, `seen.at(-1) === '${text}'`)
    }
    for (const tab of tabs) t.same(await seenBy(tab), ['one', 'two meanwhile', 'two', 'three meanwhile', 'three'])
    await untilTrue(() => site.gateway.streams === 1, 'one stream')
  })

  t.test(`${name}: a leader that hangs is replaced, and follows when it goes on`, { skip }, async (t) => {
    const { site, tabs, leader, others } = await openLed(t, engine)
    const hanging = leader.evaluate('{ const end = Date.now() + 10000; while (Date.now() < end); }')
    await site.send('two')
    await until(others, "seen.at(-1) === 'two'")
    await hanging
    await site.send('three')
    await until(tabs, "seen.at(-1) === 'three'")
    for (const tab of tabs) t.same(await seenBy(tab), ['one', 'two', 'three'])
    await until([leader], "stream.role === 'follower'")
  })

  t.test(`${name}: the tabs of another user share nothing with these`, { skip }, async (t) => {
    const site = new Site(t, engine)
    await site.start()
    const alice = await site.openTab('alice')
    const bob = await site.openTab('bob')
    await site.sendTo('alice', 'for alice')
    await site.sendTo('bob', 'for bob')
    await until([alice, bob], 'seen.length === 1')
    t.same([await seenBy(alice), await seenBy(bob)], [['for alice'], ['for bob']])
    const changed = await engine.newTab()
    t.teardown(() => changed.close())
    await changed.goto(`${site.gateway.url}/?user=carol&as=bob`)
    await until([changed], "stream.state.name === 'closed' && stream.state.reason === 'unauthorized'")
    await site.sendTo('bob', 'for bob alone')
    await until([bob], 'seen.length === 2')
    t.same(await seenBy(changed), [], 'a page of carol shows no event of bob')
  })

  t.test(`${name}: the stream has the topics of all tabs, and loses those of a closed one`, { skip }, async (t) => {
    const site = new Site(t, engine)
    await site.start()
    const tabs = await site.openTabs(3)
    const followers = [...tabs]
    await leaderOf(followers)
    await followers[0]?.evaluate("stream.subscribe(['news'])")
    await site.untilTopic('news', true)
    await site.publish('news', 'hot')
    await until([followers[0] as Tab], "seen.includes('hot')")
    t.equal(site.gateway.opened, 1, 'without a new stream')
    await followers[0]?.close()
    await site.untilTopic('news', false)
  })

  t.test(`${name}: a follower that missed much reads it from the hub`, { skip }, async (t) => {
    const site = new Site(t, engine)
    await site.start()
    const tab = await site.openTab()
    const kept = await tab.evaluate<string>('JSON.stringify(Object.entries(sessionStorage))')
    const texts = Array.from({ length: 1_500 }, (_, at) => String(at))
    await site.send(...texts)
    await until([tab], 'seen.length === 1500')
    const late = await engine.newTab()
    t.teardown(() => late.close())
    // As after a reload: the session of the tab has a position from before.
    await late.goto(`${site.gateway.url}/client.js`)
    await late.evaluate(`for (const [key, value] of ${kept}) sessionStorage.setItem(key, value)`)
    await late.goto(`${site.gateway.url}/?user=alice`)
    await until([late], 'seen.length >= 1500')
    await site.send('live')
    await until([tab, late], "seen.at(-1) === 'live'")
    t.same(await seenBy(late), [...texts, 'live'])
    await until([late], "stream.role === 'follower'")
    await untilTrue(() => site.gateway.streams === 1, 'one stream')
  })

  t.test(`${name}: over plain HTTP each tab has a stream of its own, and says so`, { skip }, async (t) => {
    const site = new Site(t, engine)
    await site.start()
    const origin = site.gateway.url.replace('127.0.0.1', PLAIN_HOST)
    const tabs = [await site.openTab('alice', '', origin), await site.openTab('alice', '', origin)]
    t.same(await Promise.all(tabs.map((tab) => tab.evaluate('[isSecureContext, stream.role]'))), [
      [false, 'alone'],
      [false, 'alone']
    ])
    await site.send('one')
    await until(tabs, "seen.at(-1) === 'one'")
    for (const tab of tabs) t.same(await seenBy(tab), ['one'])
    t.equal(site.gateway.opened, 2)
  })

  // Firefox has no command that crashes a tab.
  if (name === 'Firefox') continue
  t.test(`${name}: a leader that crashes is replaced`, { skip }, async (t) => {
    const site = new Site(t, engine)
    await site.start()
    const tabs = await site.openTabs(3)
    await site.send('one')
    await until(tabs, 'seen.length === 1')
    const page = (await leaderOf(tabs)) as unknown as Page
    const session = await page.context().newCDPSession(page)
    // The call is never answered.
    session.send('Page.crash').catch(() => undefined)
    await site.send('two')
    await until(tabs, "seen.at(-1) === 'two'")
    for (const tab of tabs) t.same(await seenBy(tab), ['one', 'two'])
  })
}

const freezing = await launchFreezingEngine(t)

t.test(
  'Chromium: a leader that is frozen is replaced, and follows when it goes on',
  { skip: freezing.skip },
  async (t) => {
    const { site, tabs, leader, others } = await openLed(t, freezing)
    await leader.evaluate("window.log = []; document.addEventListener('freeze', () => log.push('frozen'))")
    await freezing.setFrozen(leader, true)
    await site.send('two')
    await untilTrue(async () => (await roles(others)).includes('leader'), 'another leader')
    await site.send('three')
    await until(others, "seen.at(-1) === 'three'")
    await freezing.setFrozen(leader, false)
    await site.send('four')
    await until(tabs, "seen.at(-1) === 'four'")
    for (const tab of tabs) t.same(await seenBy(tab), ['one', 'two', 'three', 'four'])
    await until([leader], "stream.role === 'follower' && log.includes('frozen')")
  }
)
