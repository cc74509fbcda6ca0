import { execFile } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { extname, join, posix } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { ROOT } from '../support/packed-host.ts'
import { launchBrowser, NO_BROWSER } from './chromium.ts'

t.setTimeout(300_000)

const TYPES: Record<string, string> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
  '.webp': 'image/webp',
  '.woff2': 'font/woff2',
  '.json': 'application/json'
}

const folder = t.testdir()
const { stderr } = await promisify(execFile)(process.execPath, ['site/build.mjs', folder], { cwd: ROOT })
const pages = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.html'))
const texts = new Map(pages.map((name) => [`/${name}`, readFileSync(join(folder, name), 'utf8')]))

const server = createServer(({ url = '/' }, response) => {
  const { pathname } = new URL(url, 'http://site')
  const path = pathname.endsWith('/') ? `${pathname}index.html` : pathname
  try {
    const body = readFileSync(join(folder, extname(path) === '' ? `${path}.html` : path))
    response.setHeader('content-type', TYPES[extname(path)] ?? 'text/html')
    response.end(body)
  } catch {
    response.writeHead(404).end()
  }
})
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
t.teardown(() => server.close())
const site = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
const browser = await launchBrowser(t)
t.teardown(() => browser?.close())

t.test(
  'the build of the site has every page of the documentation and of the reference, without a warning',
  async (t) => {
    // npm warns of settings of the machine.
    t.notMatch(stderr.replace(/^npm warn .*$/gm, ''), /warn|not loaded/i)
    const docs = readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' })
    for (const name of docs.filter((name) => name.endsWith('.md')))
      t.ok(texts.has(`/${name.replace('README.md', 'index.md').replace(/\.md$/, '.html')}`), name)
    t.ok(pages.filter((name) => name.startsWith('api/')).length >= 13)
    t.match(texts.get('/api/client.html'), 'StreamError')
  }
)

t.test('every link of the site leads to a page and to a heading on it', async (t) => {
  let count = 0
  const dead = new Set<string>()
  for (const [from, text] of texts) {
    for (const [, href = ''] of text.matchAll(/<a [^>]*href="([^"]+)"/g)) {
      if (/^(?:https?:|mailto:)/.test(href)) continue
      count++
      const { pathname, hash } = new URL(href, `${site}${from}`)
      const path = pathname.endsWith('/') ? `${pathname}index.html` : pathname
      const target = texts.get(posix.extname(path) === '' ? `${path}.html` : path)
      const anchor = decodeURIComponent(hash.slice(1))
      const isThere = anchor === '' || anchor === 'VPContent' || target?.includes(`id="${anchor}"`)
      if (target === undefined || !isThere) dead.add(`${from}: ${href}`)
    }
  }
  t.ok(count > 1_000, `${count} links`)
  t.same([...dead], [])
})

t.test(
  'the site in a browser is light and dark, finds a word, and loads nothing from elsewhere',
  { skip: browser ? false : NO_BROWSER },
  async (t) => {
    const page = await (browser as NonNullable<typeof browser>).newPage({ viewport: { width: 1360, height: 900 } })
    const failures: string[] = []
    const origins = new Set<string>()
    page.on('pageerror', (error) => failures.push(error.message))
    page.on('console', (line) => ['error', 'warning'].includes(line.type()) && failures.push(line.text()))
    page.on('request', (request) => origins.add(new URL(request.url()).origin))
    const show = async (name: string) => {
      const { SCREENSHOTS } = process.env
      if (SCREENSHOTS) await page.screenshot({ path: join(SCREENSHOTS, `${name}.png`) })
    }
    await page.goto(site)
    await page.getByRole('heading', { name: 'Notifications that arrive.' }).waitFor()
    await show('home')
    await page.getByRole('switch').first().click()
    t.equal(await page.evaluate("document.documentElement.classList.contains('dark')"), true)
    await show('home-dark')
    await page.goto(`${site}/concepts.html`)
    await page.getByRole('heading', { name: 'Guarantees' }).waitFor()
    await show('concepts-dark')
    await page.getByRole('switch').first().click()
    await show('concepts')

    await page.getByRole('button', { name: 'Search' }).first().click()
    await page.locator('#localsearch-input').fill('idempotencyKey')
    const found = page.locator('#localsearch-list [role=option] a')
    await found.first().waitFor()
    t.ok((await found.count()) >= 3)
    await show('search')
    await found.first().click()
    await page.waitForURL(/#/)
    for (const path of [
      '/api/',
      '/api/client.html',
      '/comparison.html',
      '/migration/spring.html',
      '/performance.html'
    ]) {
      await page.goto(site + path)
      await page.locator('h1').first().waitFor()
      await show(path.replaceAll(/\W+/g, '-'))
    }
    await page.setViewportSize({ width: 390, height: 844 })
    await page.goto(`${site}/errors.html`)
    await page.locator('h1').first().waitFor()
    const isWide = 'document.documentElement.scrollWidth > document.documentElement.clientWidth'
    t.equal(await page.evaluate(isWide), false, 'a page is no wider than a phone')
    await show('phone')
    t.same(failures, [])
    t.same([...origins], [site])
    await page.close()
  }
)
