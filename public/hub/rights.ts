import { credential } from '../state/credentials.ts'
import { type ApiError, issueTicket } from './api.ts'
import { poll } from './health.ts'
import { streams } from './streams.ts'

/** Takes a credential, unless the hub does not know it; its scopes do not matter. Streams that were refused open again. */
export async function checkCredential(text: string): Promise<void> {
  const before = credential.value
  credential.value = text
  try {
    await issueTicket({})
  } catch (error) {
    const { status } = error as ApiError
    // A ticket without a user is a bad request of a key, and one that is not allowed needs another scope.
    if (status !== 400 && status !== 403) {
      credential.value = before
      throw error
    }
  }
  void poll()
  for (const stream of streams.value) if (stream.state === 'refused') void stream.start()
}
