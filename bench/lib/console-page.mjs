import { existsSync } from 'node:fs'
import Fastify from 'fastify'
import { chromium } from 'playwright-core'

/** A hub with its console, and a page of a Chromium of this machine, or of CHROMIUM_PATH. It needs a build. */
export async function openConsole() {
  if (!existsSync('dist/app.js')) throw new Error('run "npm run build" first')
  const { hubApp } = await import('../../dist/app.js')
  const app = Fastify({ forceCloseConnections: true })
  await app.register(hubApp)
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  const executablePath = process.env.CHROMIUM_PATH ?? '/usr/bin/chromium'
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu'] })
  const page = await browser.newPage({ locale: 'en-US' })
  const close = async () => {
    await browser.close()
    await app.close()
  }
  return { app, url, page, close }
}
