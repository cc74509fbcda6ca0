import Fastify from 'fastify'
import type { Browser, Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { hubApp } from '../../app.ts'
import { readApiKeys } from '../../standalone/read-api-keys.ts'
import { SECRET, tokenOf } from '../support/tokens.ts'
import { launchBrowser, NO_BROWSER } from './chromium.ts'
import { event, openStream, send, state } from './demo-page.ts'

t.setTimeout(120_000)

const KEY = 'k'.repeat(43)
/** The time that a person would wait before giving up. */
const PATIENCE = 10_000

const browser = await launchBrowser(t)
const skip = browser ? false : NO_BROWSER
t.teardown(() => browser?.close())

/** The demo of a locked hub, in a fresh browser profile. Its console may report refusals and nothing else. */
async function open(t: Test): Promise<Page> {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(hubApp, {
    hub: { reconnectionTime: 500 },
    authentication: {
      subscribers: { keys: [SECRET] },
      apiKeys: readApiKeys(`demo:${KEY}:publish,read,close,ticket`)
    }
  })
  const context = await (browser as Browser).newContext({ locale: 'en-US' })
  t.teardown(() => context.close())
  context.setDefaultTimeout(PATIENCE)
  const page = await context.newPage()
  page.on('pageerror', (error) => t.fail(String(error)))
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type()) && !/status of 40[0-9]/.test(message.text()))
      t.fail(message.text())
  })
  await page.goto(`${await app.listen({ host: '127.0.0.1', port: 0 })}/`)
  await page.getByText('This hub is locked').waitFor()
  return page
}

async function unlock(page: Page, key: string): Promise<void> {
  await page.getByLabel('API key or token').fill(key)
  await page.getByRole('button', { name: 'Unlock' }).click()
}

t.test('the page of a locked hub asks for a key, and all its functions work with it', { skip }, async (t) => {
  const page = await open(t)
  await unlock(page, 'x'.repeat(43))
  await page.getByText('SSE_HUB_ERR_NO_CREDENTIALS').waitFor()
  await unlock(page, KEY)
  await page.getByText('Hub is up').waitFor()
  t.notOk(await page.getByText('This hub is locked').isVisible())

  const alice = await openStream(page, { user: 'alice', topics: 'news' })
  await send(page, { topic: 'news', event: 'notice', data: 'unlocked' })
  await event(alice, 'notice').getByText('unlocked').waitFor()
  await alice.getByRole('button', { name: 'Cut the connection' }).click()
  await alice.getByText('3 replayed: no hole, no duplicate.').waitFor()

  await page.getByLabel('Steps, about one a second').fill('1')
  await page.getByRole('button', { name: 'Follow task' }).click()
  // The demo task publishes for every caller, so only open hubs have it.
  await page.getByRole('article').nth(1).getByText('SSE_HUB_ERR_NOT_FOUND').waitFor()

  const kept = await page.evaluate(
    'JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie, location.href])'
  )
  t.notMatch(kept, KEY, 'the key is only in the memory of the page')
  await page.reload()
  await page.getByText('This hub is locked').waitFor()
})

t.test("with a user's token the page opens streams of that user, and of no other", { skip }, async (t) => {
  const page = await open(t)
  await unlock(page, tokenOf('alice', { topics: ['news'] }))
  const alice = await openStream(page, { user: 'alice', topics: 'news' })
  t.ok(await alice.isVisible())
  await page.getByLabel('Open as user').fill('bob')
  await page.getByRole('button', { name: 'Start', exact: true }).click()
  await state(page.getByRole('article').nth(1), 'Refused').waitFor()
  await page.getByRole('article').nth(1).getByText('SSE_HUB_ERR_FORBIDDEN').waitFor()
})
