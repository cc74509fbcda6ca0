import type { Browser, Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { launchBrowser, NO_BROWSER } from '../browser/chromium.ts'
import { ExampleProcess, linkedExamples } from '../support/example-process.ts'
import { without } from '../support/programs.ts'
import { PythonProgram } from '../support/python.ts'
import { StreamClient } from '../support/stream-client.ts'
import { until } from '../support/test-node.ts'

t.setTimeout(400_000)

const host = await linkedExamples(t)
const browser = await launchBrowser(t)
t.teardown(() => browser?.close())
const inBrowser = { skip: browser === undefined && NO_BROWSER }

/** Opens a page, and fails the test if a script of it fails. Each device has cookies of its own. */
async function open(t: Test, url: string): Promise<Page> {
  const device = await (browser as Browser).newContext()
  t.teardown(() => device.close())
  return tab(t, await device.newPage(), url)
}

async function tab(t: Test, page: Page, url: string): Promise<Page> {
  page.on('pageerror', (error) => t.error(error))
  await page.goto(url)
  return page
}

const linesOf = (page: Page, feed: string): Promise<string[]> => page.locator(`${feed} li`).allTextContents()
const isOpen = (page: Page, state = '.state'): Promise<void> => page.locator(`${state}[data-state=open]`).waitFor()
const namesOf = (stream: StreamClient): string[] => stream.published.map(({ event }) => event)

t.test('minimal: a greeting reaches all tabs', inBrowser, async (t) => {
  const { url } = await ExampleProcess.start(t, host, 'minimal')
  const pages = [await open(t, url), await open(t, url)] as const
  for (const page of pages) await isOpen(page)
  await pages[0].locator('button').click()
  for (const page of pages) await page.locator('.feed li', { hasText: 'Hello, Alice' }).waitFor()
  t.equal(await pages[0].locator('#receipt').textContent(), 'streams reached: 2')
})

t.test('bell: two tabs show the same number, live, read and after a reload', inBrowser, async (t) => {
  // Its packages are those of this repository as well, so it is started without an installation.
  const { url } = await ExampleProcess.startPackage(t, host, 'bell')
  const pages = [await open(t, url), await open(t, url)] as const
  const showing = (number: string) =>
    Promise.all(pages.map((page) => page.locator('#unread', { hasText: new RegExp(`^${number}$`) }).waitFor()))
  for (const page of pages) await isOpen(page)
  for (const count of ['1', '2']) {
    await pages[0].locator('button[type=submit]').click()
    await showing(count)
  }
  await pages[1].reload()
  await showing('2')
  await pages[1].locator('#bell').click()
  await pages[1].locator('.feed li', { hasText: '● bob: I like it' }).first().waitFor()
  await pages[1].locator('#read').click()
  await showing('0')
  await pages[1].locator('.feed li.hub').nth(1).waitFor()
})

t.test('chat: everyone in the room but the author, rooms, history and presence', inBrowser, async (t) => {
  const { url } = await ExampleProcess.start(t, host, 'chat')
  const [ada, bob] = [await open(t, `${url}/?user=ada`), await open(t, `${url}/?user=bob`)]
  const author = await StreamClient.open(`${url}/chat/events?user=ada&topics=room%2Fkitchen`)
  for (const page of [ada, bob]) {
    await isOpen(page)
    await page.locator('#online', { hasText: 'ada, bob' }).waitFor()
  }
  const say = async (page: Page, text: string) => {
    await page.locator('input').fill(text)
    await page.locator('button').click()
    await page.locator('.feed li', { hasText: text }).waitFor()
  }
  await say(ada, 'the kettle is on')
  await bob.locator('.feed li', { hasText: 'ada: the kettle is on' }).waitFor()
  await bob.locator('#room').selectOption('garden')
  await bob.locator('#listeners', { hasText: ': 1' }).waitFor()
  await say(ada, 'tea is ready')
  await say(bob, 'is anyone outside?')
  t.same(await linesOf(bob, '.feed'), ['bob: is anyone outside?'], 'another room is not heard')
  await bob.locator('#room').selectOption('kitchen')
  await bob.locator('.feed li', { hasText: 'tea is ready' }).waitFor()
  t.same(await linesOf(bob, '.feed'), ['ada: the kettle is on', 'ada: tea is ready'], 'the history of the room')
  await say(bob, 'thanks')
  await author.event('message')
  t.same(
    author.published.filter(({ event }) => event === 'message').map(({ data }) => JSON.parse(data).user),
    ['bob'],
    'the author hears the others alone'
  )
  await bob.close()
  await ada.locator('#online', { hasText: /^ada$/ }).waitFor()
  const refused = await StreamClient.open(`${url}/chat/events?user=eve&topics=secret`)
  t.equal(refused.status, 403)
})

t.test(
  'session-login: a cookie opens the stream of its user, and a logout ends that one alone',
  inBrowser,
  async (t) => {
    const example = await ExampleProcess.start(t, host, 'session-login')
    t.equal((await StreamClient.open(`${example.url}/events`)).status, 401)
    t.match(await example.call('POST', '/login', { user: 'alice', password: 'guess' }), { status: 401 })
    const [laptop, phone] = [await open(t, example.url), await open(t, example.url)]
    for (const page of [laptop, phone]) {
      await page.locator('button[type=submit]').click()
      await isOpen(page)
    }
    await laptop.reload()
    await isOpen(laptop)
    await laptop.locator('#notify').click()
    for (const page of [laptop, phone]) await page.locator('.feed li', { hasText: 'notified at' }).waitFor()
    await laptop.locator('#logout').click()
    await laptop.getByText('logged out').waitFor()
    await isOpen(phone)
    await phone.locator('#notify').click()
    await phone.locator('.feed li:nth-child(2)').waitFor()
  }
)

t.test(
  'tickets: a token and a ticket open streams, and a revoked ticket and no token open none',
  inBrowser,
  async (t) => {
    const example = await ExampleProcess.start(t, host, 'tickets')
    const page = await open(t, example.url)
    await page.locator('#alice').click()
    for (const state of ['#token-state', '#ticket-state']) await isOpen(page, state)
    await page.locator('#notify').click()
    for (const feed of ['#by-token', '#by-ticket']) await page.locator(`${feed} li`).waitFor()

    const { token } = (await example.call('POST', '/login', { user: 'bob' })).body
    const bearer = { authorization: `Bearer ${token}` }
    const { ticket } = (await example.call('POST', '/hub-api/tickets', {}, bearer)).body
    const events = `${example.url}/hub-api/events`
    const stream = await StreamClient.open(`${events}?ticket=${ticket}`)
    t.match(JSON.parse((await stream.event('hub.welcome')).data), { user: 'bob', expiresAt: String })
    t.equal((await StreamClient.open(`${events}?ticket=${ticket}&topics=secret`)).status, 403)
    t.match(await example.call('DELETE', '/hub-api/users/bob/tickets', undefined, bearer), { body: { revoked: 1 } })
    t.equal((await StreamClient.open(`${events}?ticket=${ticket}`)).status, 401)
    t.equal((await StreamClient.open(events)).status, 401)
    t.match(await example.call('POST', '/notifications'), { status: 401 })
    t.notOk(example.output.includes(ticket), 'no ticket in the log')
  }
)

t.test('tickets: the streams of a page outlive its token', inBrowser, async (t) => {
  const { url } = await ExampleProcess.start(t, host, 'tickets', { TOKEN_LIFE: '4s' })
  const page = await open(t, url)
  const logins = new Set<unknown>()
  page.on('request', (request) => request.url().endsWith('/login') && logins.add(request))
  await page.locator('#alice').click()
  for (const state of ['#token-state', '#ticket-state']) await isOpen(page, state)
  await until(
    () => Promise.resolve(logins.size),
    (size) => size >= 3,
    'new tokens',
    30_000
  )
  for (const state of ['#token-state', '#ticket-state']) await isOpen(page, state)
  await page.locator('#notify').click()
  for (const feed of ['#by-token', '#by-ticket']) await page.locator(`${feed} li`).first().waitFor()
})

t.test(
  'task-progress: a reload in the middle goes on, and a page that comes late has the end',
  inBrowser,
  async (t) => {
    const example = await ExampleProcess.start(t, host, 'task-progress', { TICK: '150' })
    const page = await open(t, example.url)
    await page.locator('#start').click()
    await page.getByText('under way').waitFor()
    await page.reload()
    await page.getByText('under way').waitFor()
    await page.getByText('done: /reports/').waitFor()
    t.equal(await page.locator('#percent').textContent(), '100 %')
    const late = await open(t, page.url())
    await late.getByText('done: /reports/').waitFor()
    await page.locator('#start-failing').click()
    await page.getByText('failed: page 7 has no title').waitFor()
    t.equal(await page.locator('#percent').textContent(), '60 %')
    t.match(await example.call('GET', '/tasks/unknown/events'), { status: 404 })
  }
)

t.test(
  'ai-answer: a reload and a cut lose no word and double none, and Stop ends the generation',
  inBrowser,
  async (t) => {
    const example = await ExampleProcess.start(t, host, 'ai-answer', { TICK: '60' })
    const page = await open(t, example.url)
    await page.locator('button[type=submit]').click()
    await page.locator('#answer', { hasText: 'Streams break' }).waitFor()
    await page.reload()
    const id = new URL(page.url()).searchParams.get('answer') as string
    let stream = await StreamClient.open(`${example.url}/answers/${id}`)
    const words: string[] = []
    const take = () =>
      words.push(...stream.published.map(({ data }) => (data === '[DONE]' ? '' : JSON.parse(data).text)))
    await stream.count(3)
    stream.cut()
    take()
    stream = await StreamClient.open(`${example.url}/answers/${id}`, { lastEventId: stream.lastEventId })
    await stream.end()
    take()
    await page.getByText('complete', { exact: true }).waitFor()
    t.equal(await page.locator('#answer').textContent(), words.join(''))
    t.match(words.join(''), /^You ask “Why do streams break\?” Streams break .* goes on where it broke\.$/)
    await page.locator('button[type=submit]').click()
    await page.locator('#answer', { hasText: 'You ask' }).waitFor()
    await page.locator('#stop').click()
    await page.getByText('incomplete: The operation was aborted').waitFor()
  }
)

t.test('ai-answer: a model in Python publishes its words over HTTP', { skip: without('python3') }, async (t) => {
  const example = await ExampleProcess.start(t, host, 'ai-answer', { MODEL_KEY: 'secret' })
  const program = `import os, runpy, sys
os.environ['MODEL_KEY'] = 'secret'
os.environ['APP'] = sys.argv[1]
sys.argv = ['model.py', 'Why?']
runpy.run_path('${host}/ai-answer/model.py', run_name='__main__')`
  const model = new PythonProgram(t, 'python3', program, [example.url])
  const address = await model.line(60_000)
  const id = new URL(String(address)).searchParams.get('answer')
  const stream = await StreamClient.open(`${example.url}/answers/${id}`)
  await stream.end()
  t.same(namesOf(stream), ['token', 'token', 'token', 'token', 'done'])
  t.equal(await model.line(60_000), 'Python was asked: Why? ')
  const draft = { data: 1 }
  t.match(await example.call('POST', '/hub-api/topics/answers%2F1/events', draft), { status: 403 })
  const key = { authorization: 'Bearer secret' }
  t.match(await example.call('POST', '/hub-api/topics/news/events', draft, key), { status: 403 })
})

t.test('orders: an absent customer gets one e-mail for each order, and a present one none', inBrowser, async (t) => {
  const { url } = await ExampleProcess.start(t, host, 'orders', { UNREAD_AFTER: '5000', TICK: '20' })
  const page = await open(t, url)
  await isOpen(page)
  await page.locator('#order').click()
  await page.locator('#orders li', { hasText: 'order 1 is delivered' }).waitFor()
  await page.locator('#leave').click()
  for (let order = 2; order <= 3; order++) await page.locator('#order').click()
  await page.locator('#mails li:nth-child(2)').waitFor()
  const mails = ['to alice: Your order 2', 'to alice: Your order 3']
  t.same(await linesOf(page, '#mails'), mails)
  await page.locator('#leave').click()
  await page.locator('#orders li', { hasText: 'order 3 is delivered' }).waitFor()
  t.same(
    (await linesOf(page, '#orders')).slice(-4).sort(),
    ['order 2 is delivered', 'order 2 was placed', 'order 3 is delivered', 'order 3 was placed'],
    'of the statuses only the newest'
  )
  await page.locator('#order').click()
  await page.locator('#orders li', { hasText: 'order 4 is delivered' }).waitFor()
  await page.locator('#leave').click()
  await page.locator('#order').click()
  await page.locator('#mails li:nth-child(3)').waitFor()
  t.same(await linesOf(page, '#mails'), [...mails, 'to alice: Your order 5'])
})

t.test('stock-ticker: a page that slept gets at most one event for each share', inBrowser, async (t) => {
  const { url } = await ExampleProcess.start(t, host, 'stock-ticker', { TICK: '5' })
  const page = await open(t, url)
  await page.locator('tbody tr:nth-child(4)').waitFor()
  await page.locator('#sleep').click()
  const watcher = await StreamClient.open(`${url}/events`)
  await watcher.count(40)
  await page.locator('#sleep').click()
  await isOpen(page)
  await page.locator('#replayed', { hasText: /replayed: [1-4]$/ }).waitFor()
})

t.test('clock: all pages show the time, and ten steps have an end', inBrowser, async (t) => {
  const { url } = await ExampleProcess.start(t, host, 'clock', { TICK: '50' })
  const pages = [await open(t, url), await open(t, url)] as const
  for (const page of pages) await page.getByText('pages that look: 2').waitFor()
  await pages[0].locator('#start').click()
  await pages[0].getByText('finished').waitFor()
  t.equal(await pages[0].locator('#step').textContent(), '10 of 10')
  t.equal(await pages[1].locator('#step').textContent(), '0 of 10')
})

t.test('tenants: a broadcast, a count and a key of one tenant mean nothing to the other', inBrowser, async (t) => {
  const example = await ExampleProcess.start(t, host, 'tenants')
  const page = await open(t, example.url)
  for (const tenant of ['#acme', '#globex']) await isOpen(page, `${tenant} .state`)
  await page.locator('#acme button').click()
  await page.locator('#acme .feed li', { hasText: 'Anvils are back' }).waitFor()
  await page.locator('#globex button').click()
  await page.locator('#globex .feed li', { hasText: 'The volcano' }).waitFor()
  for (const tenant of ['acme', 'globex']) {
    t.equal((await linesOf(page, `#${tenant} .feed`)).length, 1, tenant)
    t.equal(await page.locator(`#${tenant} .count`).textContent(), `streams of ${tenant}: 1`)
  }
  t.equal((await StreamClient.open(`${example.url}/tenants/acme/events?key=globex-key&user=alice`)).status, 401)
})
