import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { launchBrowser, NO_BROWSER } from '../browser/chromium.ts'
import { ExampleProcess, linkedExamples } from '../support/example-process.ts'
import { freePort } from '../support/free-port.ts'
import { without } from '../support/programs.ts'
import { StreamClient } from '../support/stream-client.ts'
import { until } from '../support/test-node.ts'

const run = promisify(execFile)
const host = await linkedExamples(t)
const example = await ExampleProcess.start(t, host, 'tutorials', { TICK: '20' })
const browser = await launchBrowser(t)
t.teardown(() => browser?.close())
const inBrowser = { skip: browser === undefined && NO_BROWSER }

/** Opens a page, and fails the test if a script of it fails. */
async function open(t: Test, name: string): Promise<Page> {
  const page = (await browser?.newPage()) as Page
  t.teardown(() => page.close())
  page.on('pageerror', (error) => t.error(error))
  await page.goto(`${example.url}/${name}.html`)
  return page
}

const linesOf = (page: Page, feed: string): Promise<string[]> => page.locator(`${feed} li`).allTextContents()

t.test('ten events arrive as they are, and the stream ends for good', async (t) => {
  const stream = await StreamClient.open(`${example.url}/ten-events/events`)
  await stream.end()
  t.same(
    stream.published.map(({ data }) => data),
    Array.from({ length: 10 }, (_, index) => `Event ${index + 1}`)
  )
  t.match((await stream.event('hub.close')).data, '"reconnect":false')
})

t.test('the page of ten events ends without an error, and starts again', inBrowser, async (t) => {
  const page = await open(t, 'ten-events')
  for (const question of ['Why', '']) {
    await page.locator('input').fill(question)
    await page.locator('#start').click()
    await page.getByText('complete').waitFor()
    const lines = await linesOf(page, '.feed')
    t.same([lines.length, lines.at(-1)], [10, question ? 'Why 10' : 'Event 10'])
  }
})

t.test(
  'the page of client ids reads the same by EventSource and by XMLHttpRequest, and is closed',
  inBrowser,
  async (t) => {
    const page = await open(t, 'client-ids')
    await page.locator('#subscribe').click()
    for (const state of ['#source-state', '#request-state']) await page.locator(`${state}[data-state=open]`).waitFor()
    for (const button of ['#send', '#broadcast']) {
      await page.locator(button).click()
      await page.getByText('"streams":2').waitFor()
      await page.locator('#content').fill('你好, 🚚')
    }
    for (const feed of ['#by-source', '#by-request']) {
      await page.locator(`${feed} li:nth-child(2)`).waitFor()
      t.same(await linesOf(page, feed), ['Hello', '你好, 🚚'], feed)
    }
    await page.locator('#close').click()
    await page.getByText('"closed":2').waitFor()
    await page.locator('#request-state[data-state=closed]').waitFor()
  }
)

t.test('an absent client is no error, and a wrong body is', async (t) => {
  const sent = await example.call('POST', '/client-ids/send', { clientId: 'bob', content: 'later' })
  t.match(sent, { status: 200, body: { id: String, streams: 0 } })
  t.match(await example.call('POST', '/client-ids/send', { clientId: 'bob' }), { status: 400 })
  t.match(await example.call('POST', '/client-ids/close', { clientId: 'bob' }), { status: 200, body: { closed: 0 } })
})

t.test('a reader of lines prints the answer up to [DONE], and needs the key', async (t) => {
  const url = `${example.url}/line-reader/chat/completions`
  const { stdout } = await run(process.execPath, ['tutorials/read-lines.mjs', url, '为什么?'], { cwd: host })
  t.equal(stdout, 'You asked: 为什么?\nA line end in data is two lines on the wire.\n')
  t.match(await example.call('POST', '/line-reader/chat/completions', { question: 'why' }), { status: 401 })
})

t.test('the page of lines shows each line, and the answer', inBrowser, async (t) => {
  const page = await open(t, 'line-reader')
  await page.locator('button').click()
  await page.locator('#lines li', { hasText: '[DONE]' }).waitFor()
  t.equal(
    await page.locator('#answer').textContent(),
    'You asked: Why lines?\nA line end in data is two lines on the wire.'
  )
  t.ok((await linesOf(page, '#lines')).includes('event: customEvent'))
})

t.test('the page of [Done] closes at the marker', inBrowser, async (t) => {
  const page = await open(t, 'done-marker')
  await page.locator('#start').click()
  await page.getByText('complete').waitFor()
  const lines = await linesOf(page, '.feed')
  t.same([lines.length, lines.at(-1)], [4, '[Done]'])
})

t.test('nginx with buffering on passes each event on when it is sent', { skip: withoutNginx() }, async (t) => {
  // The next event comes after ten minutes.
  const slow = await ExampleProcess.start(t, host, 'tutorials', { TICK: '600000' })
  const stream = await StreamClient.open(`${await nginxBefore(t, slow.url)}/done-marker/stream`)
  const [time] = await stream.count(1)
  t.match(time?.data, /^server time \d{4}-/)
  stream.cut()
})

t.test(
  'the page of the online count is welcomed, counts, broadcasts, and returns after a cut',
  inBrowser,
  async (t) => {
    const [page, other] = [await open(t, 'online-count'), await open(t, 'online-count')]
    await page.getByText('streams: 2').waitFor()
    await page.locator('button[type=submit]').click()
    for (const each of [page, other]) await each.locator('.feed li', { hasText: 'Lunch at noon' }).waitFor()
    t.match((await linesOf(page, '.feed'))[0], /^Welcome, guest-\d+ \(heartbeats every 15 s\)$/)
    await other.locator('#leave').click()
    await page.getByText('streams: 1').waitFor()
    await page.locator('#cut').click()
    await page.locator('.feed li:nth-child(3)', { hasText: 'Welcome' }).waitFor()
  }
)

t.test('the pages fit a phone', inBrowser, async (t) => {
  const page = await open(t, 'index')
  await page.setViewportSize({ width: 360, height: 640 })
  for (const name of ['index', 'ten-events', 'client-ids', 'line-reader', 'done-marker', 'online-count']) {
    await page.goto(`${example.url}/${name}.html`)
    t.equal(await page.evaluate('document.documentElement.scrollWidth'), 360, name)
  }
})

t.test('a signal ends the tutorials with their streams', async (t) => {
  const stream = await StreamClient.open(`${example.url}/online-count/connect?user=alice`)
  await stream.event('hub.welcome')
  t.equal(await example.stop(), 0)
  t.match((await stream.event('hub.close')).data, '"reason":"shutdown"')
})

function withoutNginx(): string | false {
  return without('nginx', { version: '-v', install: 'apt-get install nginx-light' })
}

/** nginx as the example configures it, except for the addresses. Returns its URL. */
async function nginxBefore(t: Test, target: string): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'sse-hub-nginx-'))
  const url = `http://127.0.0.1:${await freePort()}`
  const own = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${folder}/${name};`)
  const conf = readFileSync(join(host, 'tutorials', 'nginx.conf'), 'utf8')
    .replace('127.0.0.1:8080;', `${new URL(url).host};`)
    .replace('http://127.0.0.1:3000;', `${target};`)
    .replace('http {', `pid ${folder}/pid;\nhttp {\n  access_log off;\n  ${own.join('\n  ')}`)
  mkdirSync(join(folder, 'logs'))
  writeFileSync(join(folder, 'nginx.conf'), conf)
  const args = ['-p', folder, '-c', 'nginx.conf', '-e', 'stderr', '-g', 'daemon off; master_process off;']
  const nginx = spawn('nginx', args, { stdio: ['ignore', 'ignore', 'inherit'] })
  t.teardown(async () => {
    const gone = once(nginx, 'exit')
    if (nginx.kill('SIGTERM')) await gone
    rmSync(folder, { recursive: true, force: true })
  })
  const status = () =>
    fetch(url).then(
      (response) => response.status,
      () => 0
    )
  await until(status, (answer) => answer === 200, 'nginx to listen')
  return url
}
