import type { AddressInfo } from 'node:net'
import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { sseHub } from '../../plugins/sse-hub.ts'
import { hubRoutes } from '../../routes/hub-routes.ts'
import { embeddedLog } from '../../services/event-log/embedded/open-embedded-log.ts'
import { Gateway } from '../support/gateway.ts'
import { untilSame } from '../support/test-node.ts'
import { type Engine, launchEngines, type Tab, untilIn } from './engines.ts'

t.setTimeout(300_000)

const BUNDLER = '../../scripts/bundle-client.mjs'
const { minified } = (await import(BUNDLER)) as { minified(entry: string, names: string[]): Promise<string> }
const CLIENT = await minified('client.ts', ['connect', 'inboxOf'])

const HEARTBEATS = 400
/** In bytes: less than three for each event. */
const MAX_GROWTH = 262_144

/** Keeps its events over a reload of the page, as the client keeps its cursor. */
const PAGE = `<!doctype html><title>client</title><script type="module">
import { connect } from '/client.js'
window.seen = JSON.parse(sessionStorage.getItem('seen') ?? '[]')
window.states = []
window.asked = []
window.isRestored = false
addEventListener('pageshow', ({ persisted }) => { isRestored = persisted })
window.stream = connect('/hub/events?user=alice', {
  persist: 'session',
  silenceTimeout: 1500,
  random: () => 0,
  auth: (reason) => {
    asked.push(reason)
    return { headers: { 'x-session': 'alice' } }
  }
})
stream.on('state', ({ name, reason, error }) => states.push([name, reason, error?.status].filter(Boolean).join(' ')))
stream.on('*', ({ text }) => {
  seen.push(text)
  if (seen.length < 1000) sessionStorage.setItem('seen', JSON.stringify(seen))
})
</script>`

/** Keeps nothing but the number of its events. */
const COUNTING_PAGE = `<!doctype html><title>count</title><script type="module">
import { connect } from '/client.js'
window.count = 0
window.stream = connect('/hub/events?user=alice')
stream.on('*', ({ data }) => { count++ })
</script>`

const OTHER = '<!doctype html><title>other</title>'

/** A hub with its history in a folder, behind a gateway. */
class Site {
  readonly gateway = new Gateway()
  readonly #folder: string
  #app: FastifyInstance | undefined

  constructor(t: Test) {
    this.#folder = t.testdir()
    t.teardown(async () => {
      await this.gateway.close()
      await this.stopHub()
    })
  }

  async start(): Promise<void> {
    this.gateway.files.set('/', { type: 'text/html', text: PAGE })
    this.gateway.files.set('/count', { type: 'text/html', text: COUNTING_PAGE })
    this.gateway.files.set('/other', { type: 'text/html', text: OTHER })
    this.gateway.files.set('/client.js', { type: 'text/javascript', text: CLIENT })
    await this.gateway.start()
    await this.startHub()
  }

  async startHub(): Promise<void> {
    const app = Fastify({ forceCloseConnections: true })
    const log = await embeddedLog({ path: this.#folder, durability: 'process' })
    await app.register(sseHub, {
      log,
      reconnectionTime: 100,
      heartbeatInterval: HEARTBEATS,
      retention: { user: 200_000 }
    })
    await app.register(hubRoutes, {
      prefix: '/hub',
      authenticate: ({ query }) => ({ user: (query as { user: string }).user })
    })
    await app.listen({ host: '127.0.0.1', port: 0 })
    this.gateway.target = (app.server.address() as AddressInfo).port
    this.#app = app
  }

  async stopHub(): Promise<void> {
    await this.#app?.close()
    this.#app = undefined
  }

  async send(...texts: string[]): Promise<void> {
    for (const data of texts) await this.#app?.sse.send('alice', { event: 'n', data })
  }

  /** The gateway notices a moment later that the browser has given up a connection. */
  async untilOneStream(): Promise<void> {
    await untilSame(() => this.gateway.streams, 1)
  }

  /** Sends numbered events, in batches. */
  async sendMany(count: number): Promise<void> {
    const size = 500
    for (let from = 0; from < count; from += size) {
      const batch = Array.from({ length: Math.min(size, count - from) }, (_, at) => ({
        to: { users: ['alice'] },
        event: 'n',
        data: String(from + at)
      }))
      await this.#app?.sse.publishBatch(batch)
    }
  }
}

const until = (tab: Tab, condition: string) => untilIn(tab, condition, 'JSON.stringify({ seen, states })')

/** A page with an open stream that has one event. */
async function openPage(t: Test, engine: Engine): Promise<{ site: Site; tab: Tab; seen: () => Promise<string[]> }> {
  const site = new Site(t)
  await site.start()
  const tab = await engine.newTab()
  t.teardown(() => tab.close())
  await tab.goto(site.gateway.url)
  await until(tab, "stream.state.name === 'open'")
  await site.send('first')
  await until(tab, 'seen.length === 1')
  return { site, tab, seen: () => tab.evaluate<string[]>('seen') }
}

interface Fault {
  readonly name: string
  /** The effect on the page: a state among those that follow. */
  readonly state: string
  readonly cause: (site: Site) => unknown
}

const FAULTS: Fault[] = [
  {
    name: 'a proxy that answers 502',
    state: 'waiting refused 502',
    cause: ({ gateway }) => gateway.answer({ status: 502 }, { status: 502 })
  },
  {
    name: 'a proxy that answers 503 with Retry-After',
    state: 'waiting refused 503',
    cause: ({ gateway }) => gateway.answer({ status: 503, headers: { 'retry-after': '1' } })
  },
  { name: 'an answer 401', state: 'connecting refused 401', cause: ({ gateway }) => gateway.answer({ status: 401 }) },
  {
    name: 'a page of HTML with status 200',
    state: 'waiting content-type',
    cause: ({ gateway }) =>
      gateway.answer({ status: 200, headers: { 'content-type': 'text/html' }, body: '<h1>Welcome</h1>' })
  },
  { name: 'a cut in the middle of an event', state: 'waiting network', cause: ({ gateway }) => gateway.cutNext() },
  { name: 'a stream that is cut', state: 'waiting network', cause: ({ gateway }) => gateway.cut() },
  { name: 'a proxy that falls silent', state: 'waiting silent', cause: ({ gateway }) => gateway.silence() },
  {
    name: 'a network that swallows requests',
    state: 'waiting silent',
    cause: ({ gateway }) => gateway.swallow()
  },
  {
    name: 'a hub that is stopped and started again',
    state: 'waiting shutdown',
    cause: async (site) => {
      await site.stopHub()
      await site.startHub()
    }
  }
]

for (const engine of await launchEngines(t)) {
  for (const { name, state, cause } of FAULTS) {
    t.test(`${engine.name}: ${name} costs no event`, { skip: engine.skip }, async (t) => {
      const { site, tab, seen } = await openPage(t, engine)
      const before = site.gateway.opened
      await cause(site)
      await site.send('one', 'two', 'three')
      await until(tab, `states.includes(${JSON.stringify(state)})`)
      await until(tab, "stream.state.name === 'open' && seen.length >= 4")
      await site.send('last')
      await until(tab, "seen.at(-1) === 'last'")
      t.same(await seen(), ['first', 'one', 'two', 'three', 'last'])
      t.ok(site.gateway.opened > before)
      await site.untilOneStream()
      t.same(await tab.evaluate('stream.counters.gaps'), 0)
      if (state.endsWith('401')) t.same(await tab.evaluate('asked'), ['first', 'refused'])
    })
  }

  t.test(`${engine.name}: a page that is left and comes back misses nothing`, { skip: engine.skip }, async (t) => {
    const { site, tab, seen } = await openPage(t, engine)
    await tab.goto(`${site.gateway.url}/other`)
    await site.send('one', 'two')
    await tab.goBack()
    await until(tab, "stream.state.name === 'open' && seen.length >= 3")
    t.same(await seen(), ['first', 'one', 'two'])
    const isRestored = await tab.evaluate('isRestored')
    t.comment(`from the back-forward cache: ${isRestored}`)
    if (engine.name === 'Chromium') t.equal(isRestored, true)
    await tab.goto(site.gateway.url)
    await until(tab, "stream.state.name === 'open'")
    await site.send('three')
    await until(tab, "seen.at(-1) === 'three'")
    t.same(await seen(), ['first', 'one', 'two', 'three'], 'after a reload, too')
  })

  t.test(`${engine.name}: a device that is offline for a while misses nothing`, { skip: engine.skip }, async (t) => {
    const { site, tab, seen } = await openPage(t, engine)
    if (engine.setOffline === undefined) {
      // The driver cannot take the page off the network: the event alone opens the stream anew.
      await tab.evaluate("window.dispatchEvent(new Event('online'))")
      await until(tab, "states.includes('connecting reconnect')")
    } else {
      await engine.setOffline(true)
      site.gateway.cut()
      await until(tab, "stream.state.name === 'waiting'")
      await site.send('one')
      await engine.setOffline(false)
    }
    await site.send('two')
    await until(tab, "stream.state.name === 'open' && seen.at(-1) === 'two'")
    t.same(await seen(), engine.setOffline ? ['first', 'one', 'two'] : ['first', 'two'])
    await site.untilOneStream()
  })

  t.test(`${engine.name}: 100,000 events arrive once and in order`, { skip: engine.skip }, async (t) => {
    const { site, tab } = await openPage(t, engine)
    await site.sendMany(100_000)
    await until(tab, 'seen.length >= 100001')
    t.equal(await tab.evaluate('seen.slice(1).every((text, at) => text === String(at))'), true)
    t.equal(await tab.evaluate('seen.length'), 100_001)
    t.same(await tab.evaluate('stream.counters.gaps'), 0)
  })

  const { heapOf } = engine
  if (heapOf === undefined) continue
  t.test(`${engine.name}: the heap of a page does not grow with its events`, { skip: engine.skip }, async (t) => {
    const site = new Site(t)
    await site.start()
    const tab = await engine.newTab()
    t.teardown(() => tab.close())
    await tab.goto(`${site.gateway.url}/count`)
    await untilIn(tab, "stream.state.name === 'open'")
    await site.sendMany(20_000)
    await untilIn(tab, 'count === 20000')
    const before = await heapOf(tab)
    await site.sendMany(100_000)
    await untilIn(tab, 'count === 120000')
    const growth = (await heapOf(tab)) - before
    t.comment(`${growth} bytes more after 100,000 events, ${before} before`)
    t.ok(growth < MAX_GROWTH, `the heap grows by less than ${MAX_GROWTH} bytes`)
  })
}
