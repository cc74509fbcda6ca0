import { signal } from '@preact/signals'
import { closeStream, closeUser } from '../hub/api.ts'
import { poll } from '../hub/health.ts'
import { question } from '../state/dialogs.ts'
import { problemText, t } from '../texts/texts.ts'

/** The result of the last action, for the live region. */
export const announcement = signal('')

/** Asks, and then closes all streams of a user for good. */
export function closeUserForGood(user: string, onDone: () => void = () => {}): void {
  question.value = {
    title: t('close.title', { user }),
    text: t('close.text'),
    action: t('close.action'),
    run: async () => {
      const { closed } = await closeUser(user)
      announcement.value = t('close.done', { n: closed, user })
      void poll()
      onDone()
    }
  }
}

/** Cuts or closes one stream of any node. */
export async function endStream(id: string, reconnect: boolean, onDone: () => void): Promise<void> {
  try {
    const { closed } = await closeStream(id, reconnect)
    announcement.value = t(closed === 0 ? 'close.none' : reconnect ? 'close.wasCut' : 'close.wasClosed', { id })
  } catch (error) {
    announcement.value = problemText(error)
  }
  onDone()
}
