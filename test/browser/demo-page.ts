import type { Locator, Page } from 'playwright-core'

// Actions of a person on the demo page, and the elements that show their results.

/** Two streams of alice, as in two tabs, and one of bob. */
export async function openThree(page: Page): Promise<[Locator, Locator, Locator]> {
  await page.getByRole('button', { name: 'Open these three streams' }).click()
  const panels = page.getByRole('article')
  for (const index of [0, 1, 2]) await state(panels.nth(index), 'Open').waitFor()
  return [panels.nth(0), panels.nth(1), panels.nth(2)]
}

export async function openStream(page: Page, { user, topics = '' }: { user: string; topics?: string }) {
  const panels = page.getByRole('article')
  const before = await panels.count()
  await page.getByLabel('Open as user').fill(user)
  await page.getByLabel('Topics, separated by commas').fill(topics)
  await page.getByRole('button', { name: 'Start', exact: true }).click()
  await state(panels.nth(before), 'Open').waitFor()
  return panels.nth(before)
}

type Sending = { user?: string; topic?: string; everyone?: boolean; event: string; data: string }

export async function send(page: Page, { user, topic, everyone, event, data }: Sending) {
  if (user !== undefined) {
    await page.getByRole('radio', { name: 'One user' }).check()
    await page.getByLabel('Send to user').fill(user)
  }
  if (topic !== undefined) {
    await page.getByRole('radio', { name: 'A topic' }).check()
    await page.getByLabel('Send to topic').fill(topic)
  }
  if (everyone) await page.getByRole('radio', { name: 'Everyone' }).check()
  await page.getByLabel('Event name', { exact: true }).fill(event)
  await page.getByLabel('Data').fill(data)
  await Promise.all([
    page.waitForResponse((response) => response.request().method() === 'POST'),
    page.getByRole('button', { name: 'Send', exact: true }).click()
  ])
}

/** The state of a stream, as its panel shows it. */
export const state = (panel: Locator | Page, name: string) => panel.getByRole('status').getByText(name, { exact: true })

export const events = (panel: Locator) =>
  panel
    .getByRole('log')
    .locator('li')
    .filter({ has: panel.page().locator('pre') })
export const event = (panel: Locator, name: string) => events(panel).filter({ hasText: name })
