import Fastify from 'fastify'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { hubApp } from '../../app.ts'
import type { SseHubOptions } from '../../index.ts'
import { launchBrowser, NO_BROWSER } from './chromium.ts'
import { event, events, openStream, openThree, send, state } from './demo-page.ts'

t.setTimeout(120_000)

/** Long enough for the page to publish three events before a stream reconnects. */
const RECONNECTION_TIME = 1_000
/** The time that a person would wait before giving up. */
const PATIENCE = 10_000

const browser = await launchBrowser(t)
const skip = browser ? false : NO_BROWSER
t.teardown(() => browser?.close())

demo('an event sent to alice reaches both streams of alice, and not that of bob', async (page, t) => {
  const [alice1, alice2, bob] = await openThree(page)

  await send(page, { user: 'alice', event: 'order.shipped', data: '{"order":42}' })
  await event(alice1, 'order.shipped').getByText('{ "order": 42 }').waitFor()
  await event(alice2, 'order.shipped').getByText('{ "order": 42 }').waitFor()
  await page.getByText('Accepted for 2 open streams.').waitFor()

  // Streams are in order: once bob has this later event, an earlier one cannot arrive any more.
  await send(page, { everyone: true, event: 'notice', data: 'fence' })
  await event(bob, 'notice').waitFor()
  t.equal(await event(bob, 'order.shipped').count(), 0)
})

demo('a broadcast reaches every stream once', async (page, t) => {
  const panels = await openThree(page)

  await send(page, { everyone: true, event: 'notice', data: 'Maintenance at 8' })
  await page.getByText('Accepted for 3 open streams.').waitFor()
  for (const panel of panels) {
    await event(panel, 'notice').getByText('Maintenance at 8').waitFor()
    t.equal(await events(panel).count(), 1)
  }
})

demo('an event sent to a topic reaches its subscribers', async (page, t) => {
  const alice = await openStream(page, { user: 'alice', topics: 'news, orders/42' })
  const bob = await openStream(page, { user: 'bob', topics: 'news' })

  await send(page, { topic: 'orders/42', event: 'order.shipped', data: 'on its way' })
  await event(alice, 'order.shipped').getByText('on its way').waitFor()
  await send(page, { topic: 'news', event: 'notice', data: 'fence' })
  await event(bob, 'notice').waitFor()
  t.equal(await event(bob, 'order.shipped').count(), 0)
})

demo(
  'closing a user for good ends the streams of that user without an error, and they do not reconnect',
  { hub: { reconnectionTime: 200 } },
  async (page) => {
    const [alice, , bob] = await openThree(page)

    await page.getByLabel('Close all streams of user').fill('bob')
    await page.getByRole('button', { name: 'Close for good', exact: true }).click()
    await page.getByText('1 stream of bob closed for good.').waitFor()
    await state(bob, 'Closed for good: kicked').waitFor()

    // The browser waits 0.5 to 1.5 times the reconnection time: after three returns of alice, that of bob is over.
    for (let time = 0; time < 3; time++) {
      await alice.getByRole('button', { name: 'Cut the connection' }).click()
      await alice.getByText('Back again.').nth(time).waitFor()
    }
    await state(bob, 'Closed for good: kicked').waitFor()
    await page.getByText('1 user online').waitFor()
  }
)

demo('a task is followed to its end, which is not an error', async (page, t) => {
  await page.getByLabel('Steps, about one a second').fill('2')
  await page.getByRole('button', { name: 'Follow task' }).click()
  const task = page.getByRole('article', { name: 'Task of 2 steps' })
  await state(task, 'Done').waitFor()
  t.equal(await task.getByRole('progressbar').getAttribute('value'), '2')
  t.equal(await task.getByText('Reconnecting').count(), 0)
})

demo('a stream that is cut gets exactly the events that it missed, marked as replayed', async (page, t) => {
  const [cut, other] = await openThree(page)
  await send(page, { user: 'alice', event: 'notice', data: 'before' })
  await event(cut, 'notice').waitFor()

  await cut.getByRole('button', { name: 'Cut the connection' }).click()
  await cut.getByText('3 replayed: no hole, no duplicate.').waitFor()

  t.same(await events(cut).filter({ hasText: 'replayed' }).locator('pre').allTextContents(), [
    '{ "missed": 1, "of": 3 }',
    '{ "missed": 2, "of": 3 }',
    '{ "missed": 3, "of": 3 }'
  ])
  t.equal(await events(cut).count(), 4)
  t.equal(await events(other).filter({ hasText: 'replayed' }).count(), 0)
})

demo('all streams that are cut return with the events that they missed', async (page, t) => {
  const panels = await openThree(page)

  await page.getByRole('button', { name: 'Cut all' }).click()
  for (const panel of panels) {
    await panel.getByText('3 replayed: no hole, no duplicate.').waitFor()
    t.equal(await events(panel).count(), 3)
  }
})

demo(
  'missed events that the hub no longer retains are reported as a gap',
  { hub: { retention: { user: 2 } } },
  async (page, t) => {
    const [cut] = await openThree(page)

    await cut.getByRole('button', { name: 'Cut the connection' }).click()
    await cut.getByText('Gap.').waitFor()
    await cut.getByText('2 of 3 came back; the hub told of the gap.').waitFor()
    t.same(await events(cut).locator('pre').allTextContents(), ['{ "missed": 2, "of": 3 }', '{ "missed": 3, "of": 3 }'])
  }
)

demo('a stream that the reader stopped resumes where it stopped', async (page) => {
  const alice = await openStream(page, { user: 'alice' })

  await alice.getByRole('button', { name: 'Stop' }).click()
  await state(alice, 'Stopped').waitFor()
  await send(page, { user: 'alice', event: 'notice', data: 'meanwhile' })
  await page.getByText('Not online now. It is kept').waitFor()

  await alice.getByRole('button', { name: 'Start again' }).click()
  await event(alice, 'notice').getByText('replayed').waitFor()
  await event(alice, 'notice').getByText('meanwhile').waitFor()
})

demo('a new stream can begin with the retained history', async (page, t) => {
  for (const data of ['one', 'two', 'three']) await send(page, { user: 'alice', event: 'notice', data })

  await page.getByLabel('Begin with').selectOption('last')
  await page.getByLabel('How many past events').fill('2')
  const last = await openStream(page, { user: 'alice' })
  await event(last, 'notice').getByText('three').waitFor()
  t.same(await events(last).locator('pre').allTextContents(), ['two', 'three'])

  await page.getByLabel('Begin with').selectOption('oldest')
  const oldest = await openStream(page, { user: 'alice' })
  await event(oldest, 'notice').getByText('three').waitFor()
  t.same(await events(oldest).locator('pre').allTextContents(), ['one', 'two', 'three'])
})

demo('markup in data, event names and user names is shown as text and never runs', async (page, t) => {
  const payload = '<img src=x onerror="document.title=\'owned\'">'
  const panel = await openStream(page, { user: payload, topics: payload })

  await send(page, { user: payload, event: payload, data: payload })
  await send(page, { user: payload, event: payload, data: JSON.stringify({ [payload]: payload }) })
  await panel.locator('pre').getByText(JSON.stringify(payload), { exact: true }).last().waitFor()
  t.equal(await panel.locator('pre').first().textContent(), payload)
  t.equal(await page.locator('img[onerror]').count(), 0)
  t.equal(await page.title(), 'SSE Hub')
})

demo('a refused event shows the code and the message of the error', { expectsRefusal: true }, async (page, t) => {
  await send(page, { everyone: true, event: 'hub.welcome', data: 'forged' })
  const result = page.getByRole('status').filter({ hasText: 'SSE_HUB_ERR_' })
  await result.waitFor()
  t.match(await result.textContent(), /hub\./)
})

demo('a silent stream is called stale until its next event', { clock: true }, async (page) => {
  const alice = await openStream(page, { user: 'alice' })
  await state(alice, 'Open').waitFor()

  await page.clock.fastForward('10:00')
  await state(alice, 'Stale').waitFor()
  await send(page, { user: 'alice', event: 'notice', data: 'still here' })
  await state(alice, 'Open').waitFor()
})

demo('an event name that one tab sends is shown in another tab', async (page) => {
  const second = await page.context().newPage()
  await second.goto(page.url())
  const alice = await openStream(second, { user: 'alice' })

  await send(page, { user: 'alice', event: 'never.heard.of', data: 'hello' })
  await event(alice, 'never.heard.of').getByText('hello').waitFor()
})

demo('the reader is warned when the streams use up all connections of the browser', async (page) => {
  await openThree(page)
  for (const user of ['carol', 'dave', 'erin']) await openStream(page, { user })

  const warning = page.getByRole('alert')
  await warning.getByText('six connections').waitFor()
  await warning.getByRole('button', { name: 'Stop the newest stream' }).click()
  await warning.waitFor({ state: 'hidden' })
  await send(page, { user: 'carol', event: 'notice', data: 'gets through' })
  await page.getByText('Accepted for 1 open stream.').waitFor()
})

demo('the page switches to Chinese on request, and remembers it', async (page, t) => {
  const alice = await openStream(page, { user: 'alice' })

  await page.getByRole('radio', { name: '中文' }).check()
  await page.getByRole('heading', { name: '打开事件流' }).waitFor()
  await state(alice, '已打开').waitFor()
  t.equal(await page.locator('html').getAttribute('lang'), 'zh-CN')

  await page.reload()
  await page.getByRole('heading', { name: '打开事件流' }).waitFor()
  await page.getByRole('radio', { name: 'English' }).check()
  await page.getByRole('heading', { name: 'Open a stream' }).waitFor()
})

demo('a browser that prefers Chinese gets the whole page in Chinese', { locale: 'zh-CN' }, async (page, t) => {
  await page.getByRole('button', { name: '打开这三条流' }).click()
  await state(page, '已打开').first().waitFor()

  const [english, html, chinese] = (await page.evaluate(`(async () => {
      const { en } = await import('${page.url()}texts-en.js')
      const { zh } = await import('${page.url()}texts-zh.js')
      return [Object.keys(en), await (await fetch('${page.url()}')).text(), Object.keys(zh)]
    })()`)) as [string[], string, string[]]
  const inPage = Array.from(html.matchAll(/data-i18n(?:-[a-z-]+)?="([^"]+)"/g), ([, key]) => key as string)
  const spoken = [...new Set([...english, ...inPage])]
  t.same(chinese.sort(), spoken.sort())
})

demo('the page is served under a strict content security policy', async (page, t) => {
  const response = await page.reload()
  const policy = response?.headers()['content-security-policy']
  t.match(policy, /default-src 'none'/)
  t.match(policy, /script-src 'self'(;|$)/)
  t.notMatch(policy, /unsafe/)
})

demo('on a phone nothing overflows the width', { viewport: { width: 390, height: 844 } }, async (page, t) => {
  const overflow = () => page.evaluate('document.documentElement.scrollWidth - innerWidth')
  t.equal(await overflow(), 0, 'empty')

  const [alice] = await openThree(page)
  await send(page, { user: 'alice', event: 'notice', data: 'x'.repeat(500) })
  await event(alice, 'notice').waitFor()
  await alice.getByRole('button', { name: 'Cut the connection' }).click()
  await alice.getByText('3 replayed: no hole, no duplicate.').waitFor()
  t.equal(await overflow(), 0, 'with streams')

  await page.getByRole('radio', { name: '中文' }).check()
  t.equal(await overflow(), 0, 'in Chinese')
})

/** The standalone hub of one test, on its own port, with its history in memory. */
async function startHub(t: Test, options: SseHubOptions): Promise<string> {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(hubApp, { hub: { reconnectionTime: RECONNECTION_TIME, ...options } })
  return `${await app.listen({ host: '127.0.0.1', port: 0 })}/`
}

type Profile = BrowserContextOptions & { hub?: SseHubOptions; expectsRefusal?: boolean; clock?: boolean }
type Story = (page: Page, t: Test) => Promise<void>

/** A test of the demo with its own hub and a fresh browser profile. Any warning or error in the console fails it. */
function demo(name: string, ...[first, second]: [Story] | [Profile, Story]) {
  const story = second ?? (first as Story)
  const { hub = {}, expectsRefusal = false, clock = false, ...profile } = second ? (first as Profile) : {}
  t.test(name, { skip }, async (t) => {
    const url = await startHub(t, hub)
    const context = await (browser as Browser).newContext({ locale: 'en-US', ...profile })
    t.teardown(() => context.close())
    context.setDefaultTimeout(PATIENCE)
    const complaints: string[] = []
    context.on('weberror', (error) => complaints.push(String(error.error())))
    context.on('console', (message) => {
      const refused = expectsRefusal && message.text().includes('status of 400')
      if (['error', 'warning'].includes(message.type()) && !refused) complaints.push(message.text())
    })
    const page = await context.newPage()
    if (clock) await page.clock.install()
    await page.goto(url)
    await page.getByText(/Hub is up|中心运行中/).waitFor()
    await story(page, t)
    t.same(complaints, [], 'the console has no warnings and no errors')
  })
}
