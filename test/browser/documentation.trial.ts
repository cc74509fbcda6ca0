import Fastify from 'fastify'
import t from 'tap'
import { hubApp } from '../../app.ts'
import { launchBrowser, NO_BROWSER } from './chromium.ts'

t.setTimeout(120_000)

const browser = await launchBrowser(t)
t.teardown(() => browser?.close())

t.test(
  'the documentation in a browser shows every operation, calls one, and loads nothing from elsewhere',
  { skip: browser ? false : NO_BROWSER },
  async (t) => {
    const app = Fastify({ forceCloseConnections: true })
    t.teardown(() => app.close())
    await app.register(hubApp)
    const url = await app.listen({ host: '127.0.0.1', port: 0 })
    const page = await (browser as NonNullable<typeof browser>).newPage()
    const failures: string[] = []
    const origins = new Set<string>()
    page.on('pageerror', (error) => failures.push(error.message))
    page.on('request', (request) => origins.add(new URL(request.url()).origin))
    // A style attribute of an icon is blocked, without effect.
    page.on(
      'console',
      (line) => line.type() === 'error' && !/inline style/.test(line.text()) && failures.push(line.text())
    )
    await page.goto(`${url}/documentation`)
    await page.getByText('Publishes an event to everyone').click()
    t.ok((await page.locator('.opblock').count()) >= 20)
    await page.getByRole('button', { name: 'Execute' }).click()
    await page.getByText('Server response').waitFor()
    const statuses = page.locator('.live-responses-table .response-col_status')
    t.equal(await statuses.last().textContent(), '202')
    t.same(failures, [])
    t.same(
      [...origins].filter((origin) => !['null', url].includes(origin)),
      []
    )
    await page.close()
  }
)
