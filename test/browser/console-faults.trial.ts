import type { Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { buildConsoleOnce } from '../support/built-console.ts'
import { freePort } from '../support/free-port.ts'
import { RedisServer, withoutRedis } from '../support/redis-server.ts'
import { publish, ServerProcess } from '../support/server-process.ts'
import { StreamClient } from '../support/stream-client.ts'
import { untilSame } from '../support/test-node.ts'
import { launchBrowser, NO_BROWSER } from './chromium.ts'
import { dataOf, event, fillForm, newPage, openedStream, sendForm, state, streams } from './console-page.ts'

t.setTimeout(180_000)

const KEY = 'k'.repeat(43)
/** The time that a person would wait before giving up. */
const PATIENCE = 30_000

await buildConsoleOnce()
const browser = await launchBrowser(t)
const skip = browser ? false : NO_BROWSER
t.teardown(() => browser?.close())

async function visit(t: Test, url: string): Promise<Page> {
  const page = await newPage(t, browser, PATIENCE)
  await page.goto(url)
  return page
}

t.test('the page says what is true while its hub is suspended, killed, restarted and locked', { skip }, async (t) => {
  const store = { PORT: String(await freePort()), HUB_STORE: t.testdir(), HUB_RETRY: '300' }
  let hub = new ServerProcess(t, store)
  const url = await hub.url()
  const page = await visit(t, url)
  const says = (text: string | RegExp) => page.getByRole('banner').getByText(text, { exact: true }).waitFor()
  const alice = await openedStream(page, { user: 'alice' })
  await says('Ready')

  hub.child.kill('SIGSTOP')
  await fillForm(page, { user: 'alice', event: 'notice', data: 'held' })
  await sendForm(page).getByRole('button', { name: 'Send' }).click()
  await sendForm(page).getByText('Sending…').waitFor()
  await says(/^No answer/)
  hub.child.kill('SIGCONT')
  await says('Ready')
  await sendForm(page).getByText('Accepted for 1 open stream.').waitFor()
  await event(page, 'notice').getByText('held').waitFor()
  await state(alice, 'Open').waitFor()

  await hub.stop('SIGKILL')
  await state(alice, 'Reconnecting').waitFor()
  await says(/^No answer for \d+ s/)
  hub = new ServerProcess(t, store)
  await hub.url()
  await publish(url, '/users/alice/events', 'after the kill')
  await state(alice, 'Open').waitFor()
  await says('Ready')
  await untilSame(() => dataOf(page), ['held', 'after the kill'])

  await hub.stop('SIGTERM')
  hub = new ServerProcess(t, { ...store, HUB_API_KEYS: `demo:${KEY}:publish,read,close,ticket` })
  await hub.url()
  const dialog = page.getByRole('dialog', { name: 'Unlock the hub' })
  await dialog.waitFor()
  await state(alice, 'Refused').waitFor()
  await says('Ready')
  const response = await page.request.post(`${url}/users/alice/events`, {
    headers: { authorization: `Bearer ${KEY}` },
    data: { event: 'notice', data: 'while locked' }
  })
  t.equal(response.status(), 202)
  await dialog.getByLabel('API key or token').fill(KEY)
  await dialog.getByRole('button', { name: 'Unlock' }).click()
  await state(alice, 'Open').waitFor()
  await untilSame(() => dataOf(page), ['held', 'after the kill', 'while locked'])
  t.equal(await streams(page).count(), 1)
})

t.test('the page of one node counts, shows and closes streams of all', { skip: skip || withoutRedis }, async (t) => {
  const redis = await RedisServer.start()
  t.teardown(() => redis.stop())
  const start = async () => new ServerProcess(t, { HUB_STORE: redis.url, HUB_RETRY: '300' }).url()
  const [here, there] = await Promise.all([start(), start()])
  const page = await visit(t, `${here}/#/hub?s=alice`)
  const bob = await StreamClient.open(`${there}/events?user=bob&topics=news`)
  t.teardown(() => bob.cut())
  await bob.event('hub.welcome')
  const fact = (part: string, term: string, value: string) =>
    page
      .getByRole('region', { name: part })
      .locator('.facts > div')
      .filter({ has: page.getByRole('term').getByText(term, { exact: true }) })
      .getByText(value, { exact: true })
      .waitFor()
  await fact('Cluster', 'Nodes', '2')
  await fact('Cluster', 'Open streams', '2')
  await fact('Cluster', 'Users online', '2')
  await fact('This node', 'Open streams', '1')

  await page.getByRole('link', { name: 'Users' }).click()
  await page.getByText('2 online').waitFor()
  await page.getByRole('button', { name: /^bob/ }).click()
  const row = page.getByRole('row').filter({ hasText: 'news' })
  await row.getByText('on another node').waitFor()
  await row.getByRole('button', { name: /for good$/ }).click()
  await row.waitFor({ state: 'detached' })
  t.match((await bob.event('hub.close')).data, /"kicked".*"reconnect":false/)
  await page.getByText('1 online').waitFor()
})
