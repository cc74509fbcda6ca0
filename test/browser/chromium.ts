import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Browser, chromium, type LaunchOptions } from 'playwright-core'
import type { Test } from 'tap'

const SYSTEM_BROWSERS = [
  process.env.CHROMIUM_PATH,
  '/usr/bin/chromium',
  '/usr/bin/chromium-headless-shell',
  '/usr/bin/google-chrome'
]
// Switches off the requests that the browser sends on its own.
const QUIET = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--no-first-run'
]

/** The reason with which tests that need a browser are skipped. */
export const NO_BROWSER = 'no Chromium can be started: apt-get install chromium, or set CHROMIUM_PATH'

/** The path of a Chromium of this machine; undefined without one, which in CI is an error. */
export function chromiumOfMachine(): string | undefined {
  const found = SYSTEM_BROWSERS.find((path) => path && existsSync(path))
  if (found === undefined && process.env.CI === 'true') throw new Error(NO_BROWSER)
  return found
}

/** A Chromium of this machine, else the one from npm; undefined if neither starts, which in CI is an error. */
export async function launchBrowser(t: Test, options: LaunchOptions = {}): Promise<Browser | undefined> {
  for (const executablePath of SYSTEM_BROWSERS) {
    if (!executablePath || !existsSync(executablePath)) continue
    const args = [...QUIET, ...(options.args ?? [])]
    const browser = await chromium.launch({ ...options, executablePath, args }).catch(complain)
    if (browser) return browser
  }
  const browser = await launchPackaged(t, options).catch(complain)
  if (browser === undefined && process.env.CI === 'true') throw new Error(NO_BROWSER)
  return browser
}

/** The Chromium from npm, which unpacks itself into the temporary folder. */
async function launchPackaged(t: Test, options: LaunchOptions): Promise<Browser> {
  const folder = await mkdtemp(join(tmpdir(), 'sse-hub-chromium-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  process.env.TMPDIR = folder
  const { default: packaged } = await import('@sparticuz/chromium')
  // With a single process, its default, the whole browser would end with the profile of the first test.
  const kept = packaged.args.filter((arg) => arg !== '--single-process' && arg !== '--no-zygote')
  const args = [...kept, ...QUIET, ...(options.args ?? [])]
  return chromium.launch({ ...options, executablePath: await packaged.executablePath(), args })
}

function complain(error: unknown): undefined {
  console.error(String(error))
}
