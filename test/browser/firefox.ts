import { existsSync } from 'node:fs'
import { type Browser, launch } from 'puppeteer-core'

const SYSTEM_BROWSERS = [process.env.FIREFOX_PATH, '/usr/bin/firefox-esr', '/usr/bin/firefox']
const LAUNCH_TIMEOUT = 60_000

/** The reason with which tests that need a Firefox are skipped. */
export const NO_FIREFOX = 'no Firefox can be started: apt-get install firefox-esr, or set FIREFOX_PATH'

/** A Firefox of this machine, driven over WebDriver BiDi; undefined if the machine lacks one, which in CI is an error. */
export async function launchFirefox(preferences: Record<string, string> = {}): Promise<Browser | undefined> {
  for (const executablePath of SYSTEM_BROWSERS) {
    if (!executablePath || !existsSync(executablePath)) continue
    try {
      return await launch({
        browser: 'firefox',
        executablePath,
        headless: true,
        timeout: LAUNCH_TIMEOUT,
        extraPrefsFirefox: preferences
      })
    } catch (error) {
      console.error(String(error))
    }
  }
  if (process.env.CI === 'true') throw new Error(NO_FIREFOX)
  return undefined
}
