import Fastify from 'fastify'
import t from 'tap'
import { hubApp } from '../../app.ts'
import { buildConsoleOnce } from '../support/built-console.ts'
import { launchFirefox, NO_FIREFOX } from './firefox.ts'

t.setTimeout(180_000)

await buildConsoleOnce()
const firefox = await launchFirefox()
const skip = firefox ? false : NO_FIREFOX
t.teardown(() => firefox?.close())

t.test('in Firefox the tour shows delivery, topics, replay, a gap and an end for good', { skip }, async (t) => {
  const app = Fastify({ forceCloseConnections: true })
  t.teardown(() => app.close())
  await app.register(hubApp, { hub: { reconnectionTime: 300 } })
  const page = await (firefox as NonNullable<typeof firefox>).newPage()
  t.teardown(() => page.close())
  const failures: unknown[] = []
  page.on('pageerror', (error) => failures.push(error))
  await page.goto(await app.listen({ host: '127.0.0.1', port: 0 }))
  for (let step = 1; step <= 5; step++) {
    await page.waitForSelector('.learn-text .primary:not([disabled])', { timeout: 30_000 })
    await page.evaluate("document.querySelector('.learn-text .primary').click()")
    await page.waitForFunction(`document.querySelectorAll('.learn li[data-progress="done"]').length === ${step}`, {
      timeout: 30_000
    })
  }
  const rows = (await page.evaluate(
    "[...document.querySelectorAll('.row-name')].map((row) => row.textContent)"
  )) as string[]
  t.ok(rows.includes('order.shipped') && rows.includes('article.published') && rows.includes('missed'), String(rows))
  // A name that no page has heard of before.
  await app.sse.send('alice', { event: 'never.heard.of', data: '1.10' })
  await page.waitForFunction(
    "[...document.querySelectorAll('.row')].some((row) => row.textContent.includes('never.heard.of1.10'))",
    { timeout: 30_000 }
  )
  t.same(failures, [])
})
