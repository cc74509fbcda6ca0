import type { Sending } from '../hub/sending.ts'
import { send, sending } from '../hub/sending.ts'
import { problemText, t } from '../texts/texts.ts'

/** The outcome of the last send. Without an answer it is open, and sending again cannot publish twice. */
export function SendResult() {
  const { value } = sending
  return (
    <div class="send-result" role="status">
      {value && <Outcome of={value} />}
    </div>
  )
}

function Outcome({ of: { target, draft, outcome } }: { of: Sending }) {
  switch (outcome.kind) {
    case 'sending':
      return <p class="soft">{t('send.sending')}</p>
    case 'slow':
      return <p data-tone="wait">{t('send.slow')}</p>
    case 'refused':
      return <p data-tone="bad">{problemText(outcome.error)}</p>
    case 'open':
      return (
        <p data-tone="wait">
          {t('send.open', { problem: problemText(outcome.error) })}{' '}
          <button type="button" class="small" onClick={() => send(target, draft)}>
            {t('send.again')}
          </button>
        </p>
      )
    case 'accepted':
      return (
        <p data-tone="good">
          {outcome.wasSlow && `${t('send.wasSlow')} `}
          {acceptedText(outcome.receipt, target.kind)} {outcome.receipt.id && <code>{outcome.receipt.id}</code>}
        </p>
      )
  }
}

function acceptedText({ id, streams }: { id: string | null; streams: number }, kind: string): string {
  if (streams > 0) return t(id === null ? 'send.sentTransient' : 'send.sent', { n: streams })
  if (id === null) return t('send.lost')
  return t(kind === 'user' ? 'send.keptForUser' : 'send.kept')
}
