import { openConsole } from './lib/console-page.mjs'

/**
 * A first visit to the console, click by click: how many seconds from the opening of the page until each promise was shown, and
 * how many words there were to read. `npm run build && node bench/console-first-visit.mjs` needs a Chromium of this machine, or
 * CHROMIUM_PATH.
 */
const WORDS_PER_SECOND = 4
const STEPS = ['a delivery', 'a topic', 'a replay', 'a gap', 'a close for good']

const { url, page, close } = await openConsole()
const words = async () =>
  (await page.locator('.learn-text p, .learn-text button').allTextContents()).join(' ').split(/\s+/).length

const began = performance.now()
await page.goto(url)
await page.getByTestId('learn-go').waitFor()
let reading = 0
for (const [index, shown] of STEPS.entries()) {
  const count = await words()
  reading += count / WORDS_PER_SECOND
  await page.getByTestId('learn-go').click()
  await page.locator('.learn li[data-progress="done"]').nth(index).waitFor()
  const seconds = (performance.now() - began) / 1_000
  const total = (seconds + reading).toFixed(0)
  console.log(
    `click ${index + 1}: ${shown} after ${seconds.toFixed(1)} s; ${count} words read first, ${total} s with reading`
  )
}
await close()
