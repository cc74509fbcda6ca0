import type { NoteRow } from '../hub/event-store.ts'
import { streams } from '../hub/streams.ts'
import { problemText, textOf } from '../texts/texts.ts'

/** The note of a stream as a sentence. */
export function noteText({ text, params, stream }: NoteRow): string {
  const user = streams.value.find(({ key }) => key === stream)?.user ?? ''
  // A stream that may return was cut, not kicked.
  const reason = text === 'note.cut' && params.reason === 'kicked' ? 'cut' : String(params.reason ?? '')
  const why = textOf(text === 'note.gap' ? `gap.${reason}` : `closed.${reason}`, {}, reason)
  const problem = text === 'note.refused' ? problemText(params) : ''
  return textOf(text, { ...params, user, why, problem })
}
