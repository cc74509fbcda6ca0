import { openConsole } from './lib/console-page.mjs'

/**
 * Frame times of the console while its log receives 10,000 events a second.
 * `npm run build && node bench/console-frames.mjs [seconds]` needs a Chromium of this machine, or CHROMIUM_PATH.
 */
const SECONDS = Number(process.argv[2] ?? 60)
const BATCH = 500
const RATE = 10_000

const { app, url, page, close } = await openConsole()
await page.goto(`${url}/#/live?s=alice`)
await page.getByText('alice: open').waitFor()
await page.evaluate(`
  globalThis.frames = []
  let last = performance.now()
  const next = (now) => { frames.push(now - last); last = now; requestAnimationFrame(next) }
  requestAnimationFrame(next)`)

const began = performance.now()
let sent = 0
while (performance.now() - began < SECONDS * 1_000) {
  const events = Array.from({ length: BATCH }, () => {
    const data = { number: ++sent, price: 19.9 }
    return { to: { users: ['alice'] }, event: 'tick', data }
  })
  await app.sse.publishBatch(events)
  const ahead = (sent / RATE) * 1_000 - (performance.now() - began)
  if (ahead > 0) await new Promise((resolve) => setTimeout(resolve, ahead))
}
const seconds = (performance.now() - began) / 1_000
await page.waitForTimeout(2_000)
const frames = (await page.evaluate('frames')).sort((one, other) => one - other)
const at = (share) => Math.round(frames[Math.floor(share * (frames.length - 1))])
const heap = await page.evaluate('Math.round(performance.memory.usedJSHeapSize / 1e6)')
const shown = await page.locator('.log-count').textContent()
const received = await page.locator('.stream-counts').textContent()
console.log(`sent ${sent} events in ${seconds.toFixed(1)} s; ${received.trim()}; ${shown}`)
console.log(
  `frames: median ${at(0.5)} ms, p95 ${at(0.95)} ms, p99 ${at(0.99)} ms, longest ${at(1)} ms; heap ${heap} MB`
)
await close()
