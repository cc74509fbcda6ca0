import type { Test } from 'tap'
import { launchBrowser, NO_BROWSER } from './chromium.ts'
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
}

/** Both engines; in CI one that is missing is an error. They end with the test. */
export async function launchEngines(t: Test): Promise<readonly Engine[]> {
  const chromium = await launchBrowser(t)
  const context = await chromium?.newContext({ locale: 'en-US' })
  t.teardown(() => chromium?.close())
  const firefox = await launchFirefox()
  t.teardown(() => firefox?.close())
  return [
    {
      name: 'Chromium',
      skip: chromium ? false : NO_BROWSER,
      newTab: async () => (await context?.newPage()) as Tab,
      setOffline: async (isOffline) => context?.setOffline(isOffline)
    },
    {
      name: 'Firefox',
      skip: firefox ? false : NO_FIREFOX,
      newTab: async () => (await firefox?.newPage()) as Tab
    }
  ]
}
