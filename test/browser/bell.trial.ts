import t, { type Test } from 'tap'
import { freePort } from '../support/free-port.ts'
import { NodeProcess } from '../support/node-process.ts'
import { RedisServer, withoutRedis } from '../support/redis-server.ts'
import { until, untilSame } from '../support/test-node.ts'
import { launchBrowser, NO_BROWSER } from './chromium.ts'
import { launchFirefox, NO_FIREFOX } from './firefox.ts'

t.setTimeout(240_000)

/** Number of reloads, each of which closes the stream of the page. */
const RELOADS = 100
/** Longer than a node takes to start again. */
const GRACE = 30_000

/** A page with a bell: its title is the number of the newest of the three events that carry one. */
const PAGE = `<!doctype html><title>-</title><link rel="icon" href="data:,"><script>
  const source = new EventSource('/events?user=alice')
  const show = ({ data }) => {
    const { unread } = JSON.parse(data)
    if (unread !== undefined) document.title = unread
  }
  for (const name of ['hub.welcome', 'hub.read', 'hub.unread']) source.addEventListener(name, show)
  const read = (upTo) => fetch('/me/read?user=alice', {
    method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ upTo })
  })
</script>`

const [chromium, firefox] = await Promise.all([launchBrowser(t), launchFirefox()])
t.teardown(() => Promise.all([chromium?.close(), firefox?.close()]))
const skip = chromium === undefined ? NO_BROWSER : firefox === undefined ? NO_FIREFOX : withoutRedis

async function send(node: NodeProcess): Promise<string> {
  const { body } = await node.call('POST', '/users/alice/events', { data: 'ding', inbox: true })
  return String(body.id)
}

/** A page in a browser. */
interface Tab {
  goto(url: string): Promise<unknown>
  title(): Promise<string>
  reload(): Promise<unknown>
  evaluate(code: string): Promise<unknown>
  close(): Promise<void>
}

async function openTab(t: Test, browser: typeof chromium | typeof firefox, url: string): Promise<Tab> {
  const page = (await browser?.newPage()) as Tab
  t.teardown(() => page.close())
  await page.goto(url)
  return page
}

t.test('the bells of two browsers on two nodes show the same number', { skip }, async (t) => {
  const redis = await RedisServer.start()
  t.teardown(() => redis.stop())
  const start = async (port: number) =>
    NodeProcess.start(t, { url: redis.url, prefix: 'bell', lease: 2_000, presenceGrace: GRACE, page: PAGE, port })
  const port = await freePort()
  let one = await start(port)
  const two = await start(await freePort())
  const tabs = [await openTab(t, chromium, one.url), await openTab(t, firefox, two.url)]
  const bells = () => Promise.all(tabs.map((tab) => tab.title()))

  const ids = [await send(one), await send(two), await send(one)]
  await untilSame(bells, ['3', '3'])
  await tabs[0]?.evaluate(`read('${ids[1]}')`)
  await untilSame(bells, ['1', '1'])
  for (const tab of tabs) await tab.reload()
  await untilSame(bells, ['1', '1'])
  await send(two)
  await untilSame(bells, ['2', '2'])

  await one.end('SIGKILL')
  await send(two)
  await until(
    async () => tabs[1]?.title(),
    (title) => title === '3',
    'the bell on the node that lives'
  )
  one = await start(port)
  await untilSame(bells, ['3', '3'])
  await tabs[1]?.evaluate(`read('${ids[2]}')`)
  await untilSame(bells, ['2', '2'])
})

for (const [name, browser] of Object.entries({ Chromium: chromium, Firefox: firefox })) {
  t.test(`a page that is reloaded ${RELOADS} times in a row in ${name} is never offline`, { skip }, async (t) => {
    const redis = await RedisServer.start()
    t.teardown(() => redis.stop())
    const node = await NodeProcess.start(t, { url: redis.url, prefix: 'reload', presenceGrace: GRACE, page: PAGE })
    await send(node)
    const tab = await openTab(t, browser, node.url)
    const untilBell = (unread: string) =>
      until(
        () => tab.title(),
        (title) => title === unread,
        `the bell with ${unread}`
      )
    for (let at = 0; at < RELOADS; at++) {
      await tab.reload()
      // Every other reload waits for the stream.
      if (at % 2 === 0) await untilBell('1')
    }
    await send(node)
    await untilBell('2')
    t.same(node.presence, ['online alice'])
  })
}
