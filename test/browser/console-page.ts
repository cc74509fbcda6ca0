import type { Browser, Locator, Page } from 'playwright-core'
import type { Test } from 'tap'

// Actions of a person in the console, and the elements that show their results.

/** A page in a fresh browser profile; an error of its scripts fails the test. */
export async function newPage(t: Test, browser: Browser | undefined, patience: number): Promise<Page> {
  const context = await (browser as Browser).newContext({ locale: 'en-US' })
  t.teardown(() => context.close())
  context.setDefaultTimeout(patience)
  const page = await context.newPage()
  page.on('pageerror', (error) => t.fail(String(error)))
  return page
}

/** The streams of the page, in the order in which they were opened. */
export const streams = (page: Page) => page.getByRole('article')

/** Two streams of alice, as in two tabs, and one of bob: from a link that names them. */
export async function openThree(page: Page): Promise<[Locator, Locator, Locator]> {
  await page.goto(`${page.url().replace(/#.*/, '')}#/live?s=alice~news&s=alice~news&s=bob~news`)
  for (const index of [0, 1, 2]) await state(streams(page).nth(index), 'Open').waitFor()
  return [streams(page).nth(0), streams(page).nth(1), streams(page).nth(2)]
}

type Opening = { user: string; topics?: string; last?: number; oldest?: boolean; follow?: boolean }

export async function openStream(page: Page, { user, topics = '', last, oldest, follow }: Opening): Promise<Locator> {
  const before = await streams(page).count()
  await page.getByRole('button', { name: 'Open', exact: true }).click()
  const dialog = page.getByRole('dialog', { name: 'Open a stream' })
  await dialog.getByLabel('As user').fill(user)
  await dialog.getByLabel('Topics, separated by commas').fill(topics)
  if (oldest) await dialog.getByLabel('Begin with').selectOption('oldest')
  if (follow) await dialog.getByLabel('Begin with').selectOption('follow')
  if (last !== undefined) {
    await dialog.getByLabel('Begin with').selectOption('last')
    await dialog.getByLabel('How many').fill(String(last))
  }
  await dialog.getByRole('button', { name: 'Open stream' }).click()
  const stream = streams(page).nth(before)
  await stream.waitFor()
  return stream
}

export async function openedStream(page: Page, opening: Opening): Promise<Locator> {
  const stream = await openStream(page, opening)
  await state(stream, 'Open').waitFor()
  return stream
}

export const sendForm = (page: Page) => page.getByRole('form', { name: 'Send an event' })

type Sending = { user?: string; topic?: string; everyone?: boolean; event: string; data: string; options?: string[] }

export async function fillForm(page: Page, { user, topic, everyone, event, data, options = [] }: Sending) {
  const form = sendForm(page)
  if (user !== undefined) {
    await form.getByRole('radio', { name: 'User' }).check()
    await form.getByLabel('Send to user').fill(user)
  }
  if (topic !== undefined) {
    await form.getByRole('radio', { name: 'Topic' }).check()
    await form.getByLabel('Send to topic').fill(topic)
  }
  if (everyone) await form.getByRole('radio', { name: 'Everyone' }).check()
  await form.getByLabel('Event name').fill(event)
  await form.getByLabel('Data').fill(data)
  if (options.length > 0) await form.getByText('Options').click()
  for (const option of options) await form.getByLabel(option).check()
  if (options.length > 0) await form.getByText('Options').click()
}

export async function send(page: Page, sending: Sending) {
  await fillForm(page, sending)
  await Promise.all([
    page.waitForResponse((response) => response.request().method() === 'POST'),
    sendForm(page).getByRole('button', { name: 'Send' }).click()
  ])
}

/** The state of a stream, as its entry shows it. */
export const state = (stream: Locator, name: string) => stream.getByRole('status').getByText(name, { exact: true })

/** The rows of the log that show events. */
export const events = (page: Page) =>
  page
    .getByRole('listbox', { name: 'Events of all streams' })
    .getByRole('option')
    .filter({ has: page.locator('.row-name') })
export const event = (page: Page, name: string) => events(page).filter({ has: page.getByText(name, { exact: true }) })

/** The data of the events in the log, the oldest first. */
export async function dataOf(page: Page): Promise<(string | null)[]> {
  const texts = await events(page).locator('.row-data').allTextContents()
  return texts.reverse()
}

/** Which streams received the event of a row, and how: `alice live, bob replayed`. */
export const marks = (row: Locator) => row.locator('.lanes .unseen').textContent()
