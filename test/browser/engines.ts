import type { Page } from 'playwright-core'
import { launch, type Page as PuppeteerPage } from 'puppeteer-core'
import type { Test } from 'tap'
import { chromiumOfMachine, launchBrowser, NO_BROWSER } from './chromium.ts'
import { launchFirefox, NO_FIREFOX } from './firefox.ts'

/** A tab of either engine. */
export interface Tab {
  goto(url: string): Promise<unknown>
  goBack(): Promise<unknown>
  /** Evaluates an expression of JavaScript, and awaits its promise. */
  evaluate<Result>(expression: string): Promise<Result>
  close(): Promise<unknown>
}

export interface Engine {
  readonly name: 'Chromium' | 'Firefox'
  readonly skip: string | false
  /** Opens a tab; tabs of one profile share their storage. */
  newTab(): Promise<Tab>
  /** Takes the tabs off the network, or puts them back; undefined where the driver cannot. */
  readonly setOffline?: (isOffline: boolean) => Promise<unknown>
  /** The heap that a tab uses after garbage collection, in bytes; undefined where the driver cannot tell. */
  readonly heapOf?: (tab: Tab) => Promise<number>
}

/** A name of this machine that is no secure context over plain HTTP, as `localhost` is. */
export const PLAIN_HOST = 'plain.test'

/** In milliseconds: how long a test waits for a page before it fails. */
const PATIENCE = 30_000

/**
 * Resolves once an expression is true in a tab.
 * @param report an expression with the state of the page, for the error
 */
export async function untilIn(tab: Tab, condition: string, report = 'document.body.innerHTML'): Promise<void> {
  const isTrue = await tab.evaluate<boolean>(`new Promise((resolve) => {
    const end = Date.now() + ${PATIENCE}
    const look = () => {
      let isTrue = false
      try { isTrue = Boolean(${condition}) } catch {}
      if (isTrue || Date.now() > end) resolve(isTrue)
      else setTimeout(look, 20)
    }
    look()
  })`)
  if (!isTrue) throw new Error(`waited in vain for ${condition}; ${await tab.evaluate(report)}`)
}

/** Both engines; in CI one that is missing is an error. They end with the test. */
export async function launchEngines(t: Test): Promise<readonly Engine[]> {
  const chromium = await launchBrowser(t, {
    args: [`--host-resolver-rules=MAP ${PLAIN_HOST} 127.0.0.1`],
    // Pages come back from this cache in the browsers of users.
    ignoreDefaultArgs: ['--disable-back-forward-cache']
  })
  const context = await chromium?.newContext({ locale: 'en-US' })
  t.teardown(() => chromium?.close())
  const firefox = await launchFirefox({ 'network.dns.localDomains': PLAIN_HOST })
  t.teardown(() => firefox?.close())
  return [
    {
      name: 'Chromium',
      skip: chromium ? false : NO_BROWSER,
      newTab: async () => {
        const page = (await context?.newPage()) as Page
        const goBack = page.goBack.bind(page)
        // A page out of the back-forward cache does not load again.
        return Object.assign(page, { goBack: () => goBack({ waitUntil: 'commit' }) }) as unknown as Tab
      },
      setOffline: async (isOffline) => context?.setOffline(isOffline),
      heapOf: async (tab) => {
        const page = tab as unknown as Page
        const session = await page.context().newCDPSession(page)
        await session.send('HeapProfiler.collectGarbage')
        return (await session.send('Runtime.getHeapUsage')).usedSize
      }
    },
    {
      name: 'Firefox',
      skip: firefox ? false : NO_FIREFOX,
      newTab: async () => (await firefox?.newPage()) as Tab
    }
  ]
}

/** A Chromium that can freeze its tabs. The other driver keeps pages visible, and visible pages do not freeze. */
export interface FreezingEngine extends Engine {
  /** Freezes a tab, as browsers do with tabs in the background, or lets it go on. */
  setFrozen(tab: Tab, isFrozen: boolean): Promise<unknown>
}

export async function launchFreezingEngine(t: Test): Promise<FreezingEngine> {
  const executablePath = chromiumOfMachine()
  const browser = executablePath ? await launch({ executablePath, args: ['--no-sandbox', '--disable-gpu'] }) : undefined
  t.teardown(() => browser?.close())
  return {
    name: 'Chromium',
    skip: browser ? false : NO_BROWSER,
    newTab: async () => (await browser?.newPage()) as Tab,
    setFrozen: async (tab, isFrozen) => {
      const session = await (tab as unknown as PuppeteerPage).createCDPSession()
      await session.send('Page.setWebLifecycleState', { state: isFrozen ? 'frozen' : 'active' })
    }
  }
}
