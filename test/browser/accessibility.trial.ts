import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import Fastify from 'fastify'
import type { Browser, Page } from 'playwright-core'
import t from 'tap'
import { hubApp } from '../../app.ts'
import { readApiKeys } from '../../standalone/read-api-keys.ts'
import { buildConsoleOnce } from '../support/built-console.ts'
import { launchBrowser, NO_BROWSER } from './chromium.ts'

t.setTimeout(240_000)

const KEY = 'k'.repeat(43)
const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

await buildConsoleOnce()
const browser = await launchBrowser(t)
const skip = browser ? false : NO_BROWSER
t.teardown(() => browser?.close())

type Result = { violations: { id: string; nodes: { html: string; failureSummary: string }[] }[] }

/** The rules of axe that the page breaks, with the elements that break them. */
async function violations(page: Page): Promise<string[]> {
  // Not as a script of the page, which the content security policy blocks.
  await page.evaluate(AXE)
  const result = (await page.evaluate('axe.run(document, { resultTypes: ["violations"] })')) as Result
  return result.violations.flatMap(({ id, nodes }) =>
    nodes.map(({ html, failureSummary }) => `${id}: ${html} ${failureSummary}`)
  )
}

/** Opens an address of the console in a new document: another fragment alone would reload the old one a moment later. */
async function visit(page: Page, url: string): Promise<void> {
  await page.goto('about:blank')
  await page.goto(url)
}

const DESKTOP = { width: 1440, height: 900 }
const PHONE = { width: 390, height: 844 }

for (const locale of ['en-US', 'zh-CN'])
  for (const colorScheme of ['light', 'dark'] as const)
    for (const viewport of [DESKTOP, PHONE]) {
      const name = `${locale}, ${colorScheme}, ${viewport.width} pixels`
      t.test(`axe finds no violation on any view and with any dialog open: ${name}`, { skip }, async (t) => {
        const app = Fastify({ forceCloseConnections: true })
        t.teardown(() => app.close())
        await app.register(hubApp, { hub: { reconnectionTime: 200 } })
        const url = await app.listen({ host: '127.0.0.1', port: 0 })
        const context = await (browser as Browser).newContext({
          locale,
          colorScheme,
          viewport,
          reducedMotion: 'reduce'
        })
        t.teardown(() => context.close())
        context.setDefaultTimeout(15_000)
        const page = await context.newPage()
        await page.goto(url)
        await page.getByText(/^(Ready|就绪)$/).waitFor()
        t.same(await violations(page), [], 'first visit')

        for (let step = 0; step < 5; step++) {
          await page.getByTestId('learn-go').click()
          await page.locator('.learn li[data-progress="done"]').nth(step).waitFor()
        }
        t.same(await violations(page), [], 'after the tour')

        await page.getByRole('option').filter({ hasText: 'article' }).first().click()
        for (const tab of [0, 1, 2]) {
          await page.getByRole('tab').nth(tab).click()
          t.same(await violations(page), [], `drawer, tab ${tab}`)
        }
        await page.keyboard.press('Escape')

        for (const key of ['o', 's', 'Control+k']) {
          await page.locator('main').focus()
          await page.keyboard.press(key)
          await page.getByRole('dialog').waitFor()
          t.same(await violations(page), [], `dialog of ${key}`)
          await page.keyboard.press('Escape')
          await page.getByRole('dialog').waitFor({ state: 'detached' })
        }

        await app.sse.send('alice', { event: 'comment', data: { by: 'bob' }, inbox: true })
        for (const view of ['#/users?of=alice', '#/topics?of=news', '#/topics', '#/hub', '#/diagnose']) {
          await visit(page, `${url}/${view}`)
          await page.getByRole('heading', { level: 1 }).waitFor()
          if (view === '#/users?of=alice') await page.getByText('comment').first().waitFor()
          if (view === '#/diagnose') await page.locator('.checks[aria-busy="false"]').waitFor()
          t.same(await violations(page), [], view)
        }

        await visit(page, `${url}/#/live?s=carol`)
        await page.getByRole('button', { name: /carol.*for good|永久关闭 carol/ }).click()
        await page.getByRole('dialog').waitFor()
        t.same(await violations(page), [], 'question')
      })
    }

t.test('axe finds no violation in the dialogs for a key and for a ticket', { skip }, async (t) => {
  const app = Fastify({ forceCloseConnections: true })
  t.teardown(() => app.close())
  await app.register(hubApp, { authentication: { apiKeys: readApiKeys(`demo:${KEY}:ticket,read,close`) } })
  const context = await (browser as Browser).newContext({ locale: 'en-US', reducedMotion: 'reduce' })
  t.teardown(() => context.close())
  const page = await context.newPage()
  await page.goto(await app.listen({ host: '127.0.0.1', port: 0 }))
  await page.getByRole('button', { name: 'Unlock', exact: true }).click()
  await page.getByRole('dialog').waitFor()
  t.same(await violations(page), [])

  await page.getByLabel('API key or token').fill(KEY)
  await page.keyboard.press('Enter')
  await page.getByRole('dialog').waitFor({ state: 'detached' })
  await page.getByRole('link', { name: 'Users' }).click()
  await page.getByRole('searchbox').fill('dave')
  await page.keyboard.press('Enter')
  await page.getByRole('button', { name: 'Issue ticket' }).click()
  await page.getByRole('dialog').waitFor()
  t.same(await violations(page), [], 'the form of a ticket')
  await page.getByRole('dialog').getByRole('button', { name: 'Issue ticket' }).click()
  await page.getByRole('dialog', { name: 'Ticket issued' }).waitFor()
  t.same(await violations(page), [], 'the ticket')
})
