import { once } from 'node:events'
import { createServer } from 'node:http'
import Fastify, { type FastifyInstance } from 'fastify'
import type { Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { type HubAppOptions, hubApp } from '../../app.ts'
import { embeddedLog } from '../../services/event-log/embedded/open-embedded-log.ts'
import { readApiKeys } from '../../standalone/read-api-keys.ts'
import { buildConsoleOnce } from '../support/built-console.ts'
import { freePort } from '../support/free-port.ts'
import { allSnippets } from '../support/snippets.ts'
import { launchBrowser, NO_BROWSER } from './chromium.ts'
import { dataOf, event, newPage, openedStream, state } from './console-page.ts'

t.setTimeout(120_000)

const BUNDLER = '../../scripts/bundle-client.mjs'
const { pageProgram } = (await import(BUNDLER)) as { pageProgram(contents: string): Promise<string> }
const KEY = 'k'.repeat(43)
const PATIENCE = 20_000

await buildConsoleOnce()
const browser = await launchBrowser(t)
const skip = browser ? false : NO_BROWSER
t.teardown(() => browser?.close())

const LOCKED = { apiKeys: readApiKeys(`demo:${KEY}:publish,read,close,ticket`) }

/** A hub that restarts on its port with its history, but without its tickets. */
class RestartingHub {
  readonly port: number
  readonly #t: Test
  readonly #path: string
  readonly #options: HubAppOptions
  #app: FastifyInstance | undefined

  private constructor(t: Test, options: HubAppOptions, port: number) {
    this.#t = t
    this.port = port
    this.#path = t.testdir()
    this.#options = options
    t.teardown(() => this.stop())
  }

  static async start(t: Test, options: HubAppOptions): Promise<RestartingHub> {
    // Not port 0: the kernel may give such a port to another process while the hub is stopped.
    const hub = new RestartingHub(t, options, await freePort())
    await hub.start()
    return hub
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`
  }

  async start(): Promise<void> {
    const app = Fastify({ forceCloseConnections: true })
    const log = await embeddedLog({ path: this.#path, durability: 'process' })
    await app.register(hubApp, { ...this.#options, hub: { log, reconnectionTime: 100 } })
    await app.listen({ host: '127.0.0.1', port: this.port })
    this.#app = app
  }

  async stop(): Promise<void> {
    await this.#app?.close()
    this.#app = undefined
  }

  async untilOpened(): Promise<void> {
    await new Promise((resolve) => this.#app?.sse.on('open', resolve))
  }

  async send(data: string, name = 'notice'): Promise<void> {
    await this.#app?.sse.send('alice', { event: name, data })
  }

  /** Answers 502 on the port of the hub, as a proxy without a hub does, until a stream was requested. */
  async answer502(): Promise<void> {
    const proxy = createServer((_request, response) => response.writeHead(502).end('Bad Gateway'))
    this.#t.teardown(() => proxy.close())
    proxy.listen(this.port, '127.0.0.1')
    for (let url = ''; !url.startsWith('/events'); ) [{ url }] = (await once(proxy, 'request')) as [{ url: string }]
    proxy.closeAllConnections()
    await new Promise((resolve) => proxy.close(resolve))
  }
}

async function visit(t: Test, url: string): Promise<Page> {
  const page = await newPage(t, browser, PATIENCE)
  await page.goto(url)
  return page
}

t.test('a 502 on reconnection does not end a stream, and the stream misses nothing', { skip }, async (t) => {
  const hub = await RestartingHub.start(t, {})
  const page = await visit(t, hub.url)
  const alice = await openedStream(page, { user: 'alice' })
  await hub.send('before')
  await event(page, 'notice').waitFor()

  await hub.stop()
  await hub.answer502()
  await hub.start()
  for (const data of ['one', 'two', 'three']) await hub.send(data)
  await event(page, 'notice').getByText('three').waitFor()
  t.same(await dataOf(page), ['before', 'one', 'two', 'three'])
  await state(alice, 'Open').waitFor()
})

t.test('a stream that was refused and is started again resumes where it was', { skip }, async (t) => {
  let mayOpen = true
  const hub = await RestartingHub.start(t, {})
  const page = await visit(t, hub.url)
  const alice = await openedStream(page, { user: 'alice' })
  await hub.send('before')
  await event(page, 'notice').waitFor()

  await page.route(/\/events\?/, (route) => (mayOpen ? route.continue() : route.fulfill({ status: 403, body: '{}' })))
  mayOpen = false
  await hub.stop()
  await hub.start()
  await state(alice, 'Refused').waitFor()
  for (const data of ['one', 'two', 'three']) await hub.send(data)
  mayOpen = true
  await alice.getByRole('button', { name: 'Start again' }).click()
  await event(page, 'notice').getByText('three').waitFor()
  t.same(await dataOf(page), ['before', 'one', 'two', 'three'])
})

t.test('the page of a locked hub requests a new ticket when the hub has lost the old one', { skip }, async (t) => {
  const hub = await RestartingHub.start(t, { authentication: LOCKED })
  const page = await visit(t, hub.url)
  await page.getByRole('button', { name: 'Unlock', exact: true }).click()
  await page.getByRole('dialog').getByLabel('API key or token').fill(KEY)
  await page.getByRole('dialog').getByRole('button', { name: 'Unlock' }).click()
  await page.getByRole('dialog').waitFor({ state: 'detached' })
  await openedStream(page, { user: 'alice' })
  await hub.send('before')
  await event(page, 'notice').waitFor()

  await hub.stop()
  await hub.start()
  for (const data of ['one', 'two']) await hub.send(data)
  await event(page, 'notice').getByText('two').waitFor()
  t.same(await dataOf(page), ['before', 'one', 'two'])
})

t.test('the recipe for tickets survives a restart of the hub, and a proxy without a hub', { skip }, async (t) => {
  const recipe = allSnippets().find(({ code }) => code.includes("fetch('/my-backend/ticket'"))?.code as string
  const program = await pageProgram(recipe)
  const backend = Fastify({ forceCloseConnections: true })
  t.teardown(() => backend.close())
  const page = '<!doctype html><link rel="icon" href="data:,"><script src="/recipe.js"></script>'
  backend.get('/', (_request, reply) => reply.type('text/html').send(page))
  backend.get('/recipe.js', (_request, reply) => {
    // The page of the recipe logs events to its console.
    const code = `globalThis.shown = []\nconsole.log = (type, data) => shown.push(data)\n${program}`
    return reply.type('text/javascript').send(code.replaceAll('https://hub.example.com', hub.url))
  })
  backend.post('/my-backend/ticket', async (_request, reply) => {
    const answer = await fetch(`${hub.url}/tickets`, {
      method: 'POST',
      headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' },
      body: JSON.stringify({ user: 'alice', topics: ['orders/*'] })
    })
    return reply.code(answer.status).send(await answer.json())
  })
  const origin = await backend.listen({ host: '127.0.0.1', port: 0 })
  const hub = await RestartingHub.start(t, { authentication: LOCKED, corsOrigins: [origin] })
  const opened = hub.untilOpened()
  const tab = await visit(t, origin)
  const shown = (count: number) => tab.waitForFunction(`shown.length >= ${count}`)
  await opened
  await hub.send('one', 'message')
  await shown(1)

  await hub.stop()
  await hub.answer502()
  await hub.start()
  for (const data of ['two', 'three']) await hub.send(data, 'order.shipped')
  await shown(3)
  await hub.stop()
  await hub.start()
  await hub.send('four', 'message')
  await shown(4)
  t.same(await tab.evaluate('shown'), ['one', 'two', 'three', 'four'])
})
