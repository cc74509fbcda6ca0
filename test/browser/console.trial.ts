import Fastify from 'fastify'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { hubApp } from '../../app.ts'
import type { SseHubOptions } from '../../index.ts'
import { buildConsoleOnce } from '../support/built-console.ts'
import { untilSame } from '../support/test-node.ts'
import { launchBrowser, NO_BROWSER } from './chromium.ts'
import {
  dataOf,
  event,
  events,
  fillForm,
  marks,
  openedStream,
  openStream,
  openThree,
  send,
  sendForm,
  state,
  streams
} from './console-page.ts'

t.setTimeout(240_000)

/** Long enough for the page to publish three events before a stream reconnects. */
const RECONNECTION_TIME = 1_000
/** The time that a person would wait before giving up. */
const PATIENCE = 15_000

await buildConsoleOnce()
const browser = await launchBrowser(t)
const skip = browser ? false : NO_BROWSER
t.teardown(() => browser?.close())

visit('an event sent to alice reaches both streams of alice, and not that of bob', async (page, t) => {
  await openThree(page)

  await send(page, { user: 'alice', event: 'order.shipped', data: '{"order":42}' })
  await page.getByText('Accepted for 2 open streams.').waitFor()
  // Streams are in order: once bob has this later event, an earlier one cannot arrive any more.
  await send(page, { everyone: true, event: 'notice', data: 'fence' })
  await event(page, 'notice').getByText('alice live, alice live, bob live').waitFor({ state: 'attached' })
  t.equal(await marks(event(page, 'order.shipped')), 'alice live, alice live')
})

visit('a broadcast reaches every stream once, and is one row of the log', async (page, t) => {
  await openThree(page)

  await send(page, { everyone: true, event: 'notice', data: 'Maintenance at 8' })
  await page.getByText('Accepted for 3 open streams.').waitFor()
  await event(page, 'notice').getByText('alice live, alice live, bob live').waitFor({ state: 'attached' })
  t.equal(await events(page).count(), 1)
})

visit('an event sent to a topic reaches its subscribers', async (page, t) => {
  await openedStream(page, { user: 'alice', topics: 'news, orders/42' })
  await openedStream(page, { user: 'bob', topics: 'news' })

  await send(page, { topic: 'orders/42', event: 'order.shipped', data: 'on its way' })
  await send(page, { topic: 'news', event: 'notice', data: 'fence' })
  await event(page, 'notice').getByText('alice live, bob live').waitFor({ state: 'attached' })
  t.equal(await marks(event(page, 'order.shipped')), 'alice live')
})

visit(
  'the tour shows delivery, topics, replay, a gap and an end for good, each with one click',
  { hub: { reconnectionTime: 200 } },
  async (page, t) => {
    const tour = page.getByRole('region', { name: 'The hub in one minute' })
    const steps = [
      ['Send to alice', /Alice received it after \d+ ms; bob’s column stayed empty/],
      ['Publish to news', /One publish, both streams/],
      ['Cut alice', /no hole, no duplicate/],
      ['Make a gap', /The hub reported a gap/],
      ['Close bob for good', /Bob’s stream ended \(kicked\) and stays closed/]
    ] as const
    for (const [action, finding] of steps) {
      await tour.getByRole('button', { name: action, exact: true }).last().click()
      await tour.getByText(finding).waitFor()
    }
    await state(streams(page).nth(1), 'Closed for good: kicked').waitFor()
    t.equal(await streams(page).count(), 2, 'two tabs of the tour leave connections for requests')

    await tour.getByRole('button', { name: 'Hide the tour' }).click()
    await page.reload()
    await page.getByRole('button', { name: 'Learn' }).waitFor()
    t.equal(await tour.count(), 0, 'it stays hidden')
    await page.getByRole('button', { name: 'Learn' }).click()
    await tour.waitFor()
  }
)

visit(
  'closing a user for good ends the streams of that user without an error, and they do not reconnect',
  { hub: { reconnectionTime: 200 } },
  async (page) => {
    const [alice, , bob] = await openThree(page)

    await bob.getByRole('button', { name: 'Close all streams of bob for good' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Close for good' }).click()
    await page.getByText('1 stream of bob closed for good.').waitFor()
    await state(bob, 'Closed for good: kicked').waitFor()

    // A client waits 0.5 to 1.5 times the reconnection time: after three returns of alice, that of bob is over.
    for (let time = 0; time < 3; time++) {
      await alice.getByRole('button', { name: 'Cut' }).click()
      await page.getByText('alice: back again').nth(time).waitFor()
      await state(alice, 'Open').waitFor()
    }
    await state(bob, 'Closed for good: kicked').waitFor()
    await page.getByRole('link', { name: 'Users' }).click()
    await page.getByText('1 online').waitFor()
  }
)

visit('a stream that is cut gets exactly the events that it missed, marked as replayed', async (page, t) => {
  const [cut] = await openThree(page)
  await send(page, { user: 'alice', event: 'notice', data: 'before' })

  await cut.getByRole('button', { name: 'Cut' }).click()
  await cut.getByText('3 replayed: no hole, no duplicate.').waitFor()
  t.same(await dataOf(page), [
    'before',
    '{ "missed": 1, "of": 3 }',
    '{ "missed": 2, "of": 3 }',
    '{ "missed": 3, "of": 3 }'
  ])
  const missed = events(page).filter({ hasText: 'of": 3' })
  for (const index of [0, 1, 2]) {
    const both = (await marks(missed.nth(index)))?.split(', ').sort()
    t.same(both, ['alice live', 'alice replayed'], 'the other stream of alice was there')
  }
})

visit('all streams that are cut return with the events that they missed', async (page) => {
  const all = await openThree(page)
  await page.getByRole('button', { name: 'Cut all' }).click()
  for (const stream of all) await stream.getByText('3 replayed: no hole, no duplicate.').waitFor()
})

visit(
  'missed events that the hub no longer retains are reported as a gap',
  { hub: { retention: { user: 2 } } },
  async (page, t) => {
    const cut = await openedStream(page, { user: 'alice' })
    await cut.getByRole('button', { name: 'Cut' }).click()
    await cut.getByText('2 of 3 came back; the hub reported the gap.').waitFor()
    await page.getByText(/alice: gap\. The missed events were older/).waitFor()
    t.same(await dataOf(page), ['{ "missed": 2, "of": 3 }', '{ "missed": 3, "of": 3 }'])
  }
)

visit('a stream that the reader stopped resumes where it stopped', async (page) => {
  const alice = await openedStream(page, { user: 'alice' })
  await alice.getByRole('button', { name: 'Stop the stream of alice' }).click()
  await state(alice, 'Stopped').waitFor()
  await send(page, { user: 'alice', event: 'notice', data: 'meanwhile' })
  await page.getByText('Not online now. The event is kept').waitFor()

  await alice.getByRole('button', { name: 'Start again' }).click()
  await event(page, 'notice').getByText('alice replayed').waitFor({ state: 'attached' })
})

visit('a new stream can begin with the retained history', async (page, t) => {
  for (const data of ['one', 'two', 'three']) await send(page, { user: 'alice', event: 'notice', data })

  await openedStream(page, { user: 'alice', last: 2 })
  await event(page, 'notice').filter({ hasText: 'three' }).waitFor()
  t.same(await dataOf(page), ['two', 'three'])

  await page.getByRole('button', { name: 'Clear the log' }).click()
  await openedStream(page, { user: 'alice', oldest: true })
  await event(page, 'notice').filter({ hasText: 'three' }).waitFor()
  t.same(await dataOf(page), ['one', 'two', 'three'])
})

visit('a topic is followed to its final event, which is an end and no error', async (page, t) => {
  await send(page, { topic: 'report/7', event: 'progress', data: '1' })
  const task = await openedStream(page, { user: 'alice', topics: 'report/7', follow: true })
  await send(page, { topic: 'report/7', event: 'done', data: '2', options: ['Final'] })
  await state(task, 'Closed for good: finished').waitFor()
  t.same(await dataOf(page), ['1', '2'])
})

visit('markup in data, event names and user names is shown as text and never runs', async (page, t) => {
  const payload = '<img src=x onerror="document.title=\'owned\'">'
  await openedStream(page, { user: payload, topics: payload })

  await send(page, { user: payload, event: payload, data: payload })
  await event(page, payload).click()
  await page.getByRole('complementary').locator('pre').getByText(payload).waitFor()
  t.equal(await page.locator('img[onerror]').count(), 0)
  t.equal(await page.title(), 'SSE Hub')
})

visit('a refused event shows the code and the message of the error', { refusals: /status of 400/ }, async (page) => {
  await send(page, { everyone: true, event: 'hub.welcome', data: 'forged' })
  await sendForm(page)
    .getByText(/SSE_HUB_ERR_\w+: .*hub\./)
    .waitFor()
})

visit('numbers, duplicate keys and spaces arrive and are shown exactly as they were typed', async (page, t) => {
  await openedStream(page, { user: 'alice' })
  const data = '{ "id": 12345678901234567890, "price": 1.10, "price": 2e1,  "z": null }'
  await send(page, { user: 'alice', event: 'exact', data })
  t.equal(await event(page, 'exact').locator('.row-data').textContent(), data)
  await event(page, 'exact').click()
  const drawer = page.getByRole('complementary')
  t.equal(
    await drawer.getByRole('region', { name: 'Data' }).textContent(),
    '{\n  "id": 12345678901234567890,\n  "price": 1.10,\n  "price": 2e1,\n  "z": null\n}'
  )
  await drawer.getByRole('tab', { name: 'Frame' }).click()
  await drawer.getByText(`data: ${data}`).first().waitFor()
  await drawer.getByRole('tab', { name: 'Code' }).click()
  await drawer
    .getByRole('region', { name: 'curl' })
    .getByText(`"data":${JSON.stringify(data)}`)
    .waitFor()
})

visit('the drawer says where an event was sent and when it was published', async (page) => {
  await openedStream(page, { user: 'alice', topics: 'news' })
  // From elsewhere: the page does not know its target.
  await page.request.post(new URL('topics/news/events', page.url()).href, { data: { event: 'other', data: '1' } })
  await event(page, 'other').click()
  const drawer = page.getByRole('complementary')
  await drawer.getByText('Topic news').waitFor()
  await drawer.getByText(/ms between the hub’s clock and this one/).waitFor()
  await page.keyboard.press('Escape')
  await drawer.waitFor({ state: 'detached' })
})

visit('a transient event reports no id, neither its own nor an older one', async (page, t) => {
  await openedStream(page, { user: 'alice' })
  await send(page, { user: 'alice', event: 'kept', data: '1' })
  await send(page, { user: 'alice', event: 'gone', data: '2', options: ['Transient'] })
  await sendForm(page)
    .getByRole('status')
    .getByText('Accepted for 1 open stream; transient, so it has no id and is not kept.', { exact: true })
    .waitFor()
  t.equal(await event(page, 'gone').locator('.row-id').textContent(), 'transient')

  await send(page, { user: 'nobody', event: 'lost', data: '3' })
  await sendForm(page).getByRole('status').getByText('No stream listens now, and a transient event').waitFor()
})

visit(
  'a send without an answer is no failure: its outcome is shown when the hub answers',
  { clock: true },
  async (page) => {
    await openedStream(page, { user: 'alice' })
    let release = () => {}
    const held = new Promise<void>((resolve) => {
      release = resolve
    })
    // A suspended hub has the request, and answers when it runs again.
    await page.route(/users\/alice\/events/, async (route) => {
      await held
      await route.continue()
    })
    await fillForm(page, { user: 'alice', event: 'late', data: '1' })
    await sendForm(page).getByRole('button', { name: 'Send' }).click()
    await sendForm(page).getByText('Sending…').waitFor()
    await page.clock.fastForward(11_000)
    await sendForm(page).getByText('No answer for ten seconds.').waitFor()
    release()
    await sendForm(page)
      .getByText(/The answer came late\. Accepted for 1 open stream\./)
      .waitFor()
    await event(page, 'late').waitFor()
  }
)

visit(
  'an event whose answer was lost is sent again, and published once',
  { refusals: /ERR_FAILED/ },
  async (page, t) => {
    await openedStream(page, { user: 'alice' })
    await page.route(
      /users\/alice\/events/,
      async (route) => {
        await route.fetch()
        await route.abort()
      },
      { times: 1 }
    )
    await fillForm(page, { user: 'alice', event: 'once', data: '1' })
    await sendForm(page).getByRole('button', { name: 'Send' }).click()
    await sendForm(page).getByText('The hub may have published the event.').waitFor()
    await sendForm(page).getByRole('button', { name: 'Send again' }).click()
    await sendForm(page).getByText('Accepted for 1 open stream.').waitFor()
    await send(page, { user: 'alice', event: 'fence', data: '2' })
    await event(page, 'fence').waitFor()
    t.same(await dataOf(page), ['1', '2'])
  }
)

visit('a hub that does not answer is not called ready', { refusals: /Failed to load resource/ }, async (page) => {
  await openThree(page)
  await openedStream(page, { user: 'carol' })
  await page.route(/health\/ready/, (route) => route.fulfill({ status: 502, body: '<h1>Bad Gateway</h1>' }))
  await page.getByText('No answer').waitFor()
  await page.unroute(/health\/ready/)
  await page.getByText('Ready', { exact: true }).waitFor()
})

visit('a silent stream is called stale until its next event', { clock: true }, async (page) => {
  const alice = await openedStream(page, { user: 'alice' })
  // The client would reconnect; the page shows what it knows until then.
  await page.clock.fastForward(38_000)
  await alice
    .getByText(/Stale|Reconnecting|Open/)
    .first()
    .waitFor()
  await send(page, { user: 'alice', event: 'notice', data: 'still here' })
  await event(page, 'notice').waitFor()
  await state(alice, 'Open').waitFor()
})

visit('an event name that one tab sends is shown in another tab', async (page) => {
  const second = await page.context().newPage()
  await second.goto(page.url())
  await openedStream(second, { user: 'alice' })
  await send(page, { user: 'alice', event: 'never.heard.of', data: 'hello' })
  await event(second, 'never.heard.of').getByText('hello').waitFor()
})

visit('streams beyond the connections of the browser wait, and requests go through', async (page, t) => {
  await openThree(page)
  await openedStream(page, { user: 'carol' })
  await openStream(page, { user: 'dave' })
  const fifth = streams(page).filter({ hasText: 'dave' })
  await state(fifth, 'Waiting for a connection').waitFor()
  await page.getByRole('alert').getByText('Over HTTP/1.1 a browser has 6 connections').waitFor()
  await send(page, { user: 'carol', event: 'notice', data: 'gets through' })
  await page.getByText('Accepted for 1 open stream.').waitFor()

  const second = await page.context().newPage()
  await second.goto(`${page.url().replace(/#.*/, '')}#/live?s=erin`)
  await state(streams(second).first(), 'Waiting for a connection').waitFor()
  await second.getByText('Ready').waitFor()
  await page.getByRole('button', { name: 'Remove the stream of bob' }).click()
  const waiting = await Promise.race([
    state(fifth, 'Open')
      .waitFor()
      .then(() => 'dave'),
    state(streams(second).first(), 'Open')
      .waitFor()
      .then(() => 'erin')
  ])
  t.ok(waiting)
})

visit('a reload keeps the streams, the filter and the order, and a link shares them', async (page, t) => {
  await openedStream(page, { user: 'alice', topics: 'news,orders/42', last: 5 })
  await page.getByLabel('Filter events').fill('event:order.*')
  await page.getByRole('button', { name: 'Newest first' }).click()
  const url = page.url()
  await page.reload()
  await state(streams(page).first(), 'Open').waitFor()
  await streams(page).first().getByText('news, orders/42').waitFor()
  t.equal(await page.getByLabel('Filter events').inputValue(), 'event:order.*')
  await page.getByRole('button', { name: 'Oldest first, following' }).waitFor()

  const guest = await (browser as Browser).newContext({ locale: 'en-US' })
  t.teardown(() => guest.close())
  const other = await guest.newPage()
  await other.goto(url)
  await state(streams(other).first(), 'Open').waitFor()
})

visit('the filter finds events by text, name, user and topic', async (page) => {
  await openedStream(page, { user: 'alice', topics: 'news' })
  await openedStream(page, { user: 'bob' })
  await send(page, { user: 'alice', event: 'order.shipped', data: 'green' })
  await send(page, { user: 'bob', event: 'order.paid', data: 'red' })
  await send(page, { topic: 'news', event: 'article', data: 'green' })
  // The streams of alice and bob are not in order with each other.
  for (const name of ['order.shipped', 'order.paid', 'article']) await event(page, name).waitFor()
  const filtered = async (text: string, data: string[]) => {
    await page.getByLabel('Filter events').fill(text)
    await untilSame(async () => (await dataOf(page)).sort(), data)
  }
  await filtered('GREEN', ['green', 'green'])
  await filtered('event:order.*', ['green', 'red'])
  await filtered('user:bob', ['red'])
  await filtered('topic:news event:article', ['green'])
  await filtered('nothing', [])
  await page.getByText('No event matches the filter.').waitFor()
})

visit('the log pauses, resumes and exports', async (page, t) => {
  await openedStream(page, { user: 'alice' })
  await page.getByRole('button', { name: 'Pause the log' }).click()
  await send(page, { user: 'alice', event: 'hidden', data: '12345678901234567890' })
  await page.getByText('Paused, 1 new').waitFor()
  t.equal(await events(page).count(), 0)
  await page.getByRole('button', { name: 'Resume the log' }).click()
  await event(page, 'hidden').waitFor()

  const download = page.waitForEvent('download')
  await page.getByRole('button', { name: 'Export these rows' }).click()
  const stream = await (await download).createReadStream()
  const lines = Buffer.concat(await stream.toArray())
    .toString()
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  t.match(lines.at(-1), { event: 'hidden', data: '12345678901234567890', received: [{ user: 'alice', mark: 'live' }] })
})

visit('the log follows the newest event beyond 500 rows, in both orders', async (page, t) => {
  await openedStream(page, { user: 'alice' })
  const publish = async (from: number, count: number) => {
    const batch = Array.from({ length: count }, (_, index) => ({
      to: { users: ['alice'] },
      event: 'tick',
      data: `n${from + index}`
    }))
    await page.request.post(new URL('events', page.url()).href, { data: batch })
  }
  await publish(0, 700)
  await event(page, 'tick').getByText('n699', { exact: true }).waitFor()
  await page.getByRole('button', { name: 'Newest first' }).click()
  await event(page, 'tick').getByText('n699', { exact: true }).waitFor()
  await publish(700, 700)
  await event(page, 'tick').getByText('n1399', { exact: true }).waitFor()
  t.ok((await events(page).count()) < 100, 'only visible rows are in the document')

  const list = page.getByRole('listbox', { name: 'Events of all streams' })
  await list.focus()
  await page.keyboard.press('Home')
  await event(page, 'tick').getByText('n0', { exact: true }).waitFor()
  await publish(1_400, 10)
  await page.getByText('1411 rows').waitFor()
  await event(page, 'tick').getByText('n0', { exact: true }).waitFor()
})

visit('the command palette opens by keyboard and runs commands', async (page) => {
  await page.keyboard.press('Control+k')
  await page.getByRole('combobox').fill('diag')
  await page.keyboard.press('Enter')
  await page.getByRole('heading', { name: 'Diagnose' }).waitFor()
  await page.getByText(/An event took \d+ ms from publish to arrival/).waitFor()
  await page.keyboard.press('Control+k')
  await page.getByRole('combobox').fill('carol')
  await page.keyboard.press('Enter')
  await page.getByRole('heading', { name: 'carol' }).waitFor()
})

visit(
  'the hub shows streams by state and its settings, and the checks name the limits that are near',
  { hub: { maxStreamsPerUser: 2, retention: { bytes: 10_000 } } },
  async (page) => {
    await openThree(page)
    await page.getByRole('link', { name: 'Hub' }).click()
    const part = (name: string) => page.getByRole('region', { name })
    const fact = (name: string, term: string) =>
      part(name)
        .locator('.facts > div')
        .filter({ has: page.getByRole('term').getByText(term, { exact: true }) })
    await fact('This node', 'Live').getByText('3', { exact: true }).waitFor()
    await fact('Cluster', 'Nodes').getByText('1', { exact: true }).waitFor()
    await fact('Settings in force', 'retention.bytes').getByText('10 KB').waitFor()

    const batch = Array.from({ length: 30 }, () => ({ to: { everyone: true }, data: 'x'.repeat(1_000) }))
    await page.request.post(new URL('events', page.url()).href, { data: batch })
    await fact('Storage', 'Newest event').getByText('30', { exact: true }).waitFor()
    await fact('Storage', 'Events no longer retained').getByText('30', { exact: true }).waitFor({ state: 'detached' })
    await page.getByRole('link', { name: 'Diagnose' }).click()
    await page.getByText('2 of 2, by alice.').waitFor()
    await page.getByText('The oldest events are evicted').waitFor()
    // The stream of the check itself may be open still.
    await page.getByText(/^[34], without a limit\.$/).waitFor()
  }
)

visit('the page switches to Chinese on request, and remembers it', async (page, t) => {
  const alice = await openedStream(page, { user: 'alice' })
  await page.getByRole('radio', { name: '中文' }).check()
  await page.getByRole('heading', { name: '事件流' }).waitFor()
  await state(alice, '已打开').waitFor()
  t.equal(await page.locator('html').getAttribute('lang'), 'zh-CN')

  await page.reload()
  await page.getByRole('heading', { name: '事件流' }).waitFor()
  await page.getByRole('radio', { name: 'English' }).check()
  await page.getByRole('heading', { name: 'Streams' }).waitFor()
})

visit('a browser that prefers Chinese gets the whole page in Chinese', { locale: 'zh-CN' }, async (page, t) => {
  await page.getByRole('button', { name: '发送给 alice' }).click()
  await page.getByText(/bob 的列保持为空/).waitFor()
  const text = ((await page.locator('#app').textContent()) ?? '').replaceAll(/SSE Hub|JSON|English/g, '')
  t.notMatch(text, /\b[A-Z][a-z]+ [a-z]+ [a-z]+\b/, 'no English sentence')
})

visit('the page is served under a strict content security policy', async (page, t) => {
  const response = await page.reload()
  const policy = response?.headers()['content-security-policy']
  t.match(policy, /default-src 'none'/)
  t.match(policy, /script-src 'self'(;|$)/)
  t.notMatch(policy, /unsafe/)
})

for (const [name, viewport] of [
  ['phone', { width: 390, height: 844 }],
  ['narrow phone', { width: 320, height: 640 }]
] as const) {
  visit(
    `on a ${name} nothing overflows the width, and an event is sent from a sheet`,
    { viewport },
    async (page, t) => {
      const overflow = () => page.evaluate('document.documentElement.scrollWidth - innerWidth')
      t.equal(await overflow(), 0, 'empty')
      await openThree(page)
      await page.getByRole('navigation').getByRole('button', { name: 'Send' }).click()
      const sheet = page.getByRole('dialog', { name: 'Send an event' })
      await sheet.getByLabel('Event name').fill('notice')
      await sheet.getByLabel('Data').fill('x'.repeat(500))
      await sheet.getByRole('button', { name: 'Send' }).click()
      await sheet.getByText('Accepted for 2 open streams.').waitFor()
      t.equal(await overflow(), 0, 'with a sheet')
      await sheet.getByRole('button', { name: 'Close' }).click()
      await event(page, 'notice').click()
      await page.getByRole('complementary').getByText('Received by').waitFor()
      t.equal(await overflow(), 0, 'with a drawer')
      await page.getByRole('complementary').getByRole('button', { name: 'Close' }).click()
      for (const view of ['Users', 'Topics', 'Hub', 'Diagnose']) {
        await page.getByRole('link', { name: view }).click()
        await page.getByRole('heading', { name: view }).first().waitFor()
        t.equal(await overflow(), 0, view)
      }
    }
  )
}

/** The standalone hub of one test, on its own port, with its history in memory. */
async function startHub(t: Test, options: SseHubOptions): Promise<string> {
  const app = Fastify({ forceCloseConnections: true })
  t.teardown(() => app.close())
  await app.register(hubApp, { hub: { reconnectionTime: RECONNECTION_TIME, ...options } })
  return `${await app.listen({ host: '127.0.0.1', port: 0 })}/`
}

type Profile = BrowserContextOptions & { hub?: SseHubOptions; refusals?: RegExp; clock?: boolean }
type Story = (page: Page, t: Test) => Promise<void>

/** A test of the console with its own hub and a fresh browser profile. Any warning or error in the browser's console fails it. */
function visit(name: string, ...[first, second]: [Story] | [Profile, Story]) {
  const story = second ?? (first as Story)
  const { hub = {}, refusals = /^$/, clock = false, ...profile } = second ? (first as Profile) : {}
  t.test(name, { skip }, async (t) => {
    const url = await startHub(t, hub)
    const context = await (browser as Browser).newContext({ locale: 'en-US', ...profile })
    t.teardown(() => context.close())
    context.setDefaultTimeout(PATIENCE)
    const complaints: string[] = []
    context.on('weberror', (error) => complaints.push(String(error.error())))
    context.on('console', (message) => {
      if (['error', 'warning'].includes(message.type()) && !refusals.test(message.text()))
        complaints.push(message.text())
    })
    const page = await context.newPage()
    if (clock) await page.clock.install()
    await page.goto(url)
    await page.getByText(/^(Ready|就绪)$/).waitFor()
    await story(page, t)
    t.same(complaints, [], 'the browser reports no warnings and no errors')
  })
}
