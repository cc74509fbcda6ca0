import { useState } from 'preact/hooks'
import { API_BASE, issueTicket } from '../hub/api.ts'
import { ticketDialog } from '../state/dialogs.ts'
import { listOf } from '../state/route.ts'
import { dateTime, problemText, t } from '../texts/texts.ts'
import { Dialog } from '../ui/dialog.tsx'
import { Code, Problem } from '../ui/parts.tsx'
import { PLAIN } from './open-stream.tsx'

const MINUTE = 60_000
const MAX_MINUTES = 1_440
const DEFAULT_MINUTES = 10

/** Issues a ticket for any user: its holder opens streams of that user. */
export function TicketDialog() {
  const { value } = ticketDialog
  return value === undefined ? null : <OpenTicketDialog user={value} />
}

function OpenTicketDialog({ user }: { user: string }) {
  const [issued, setIssued] = useState<{ ticket: string; expiresAt: string }>()
  const [problem, setProblem] = useState('')
  const close = () => (ticketDialog.value = undefined)
  const submit = async (event: SubmitEvent) => {
    event.preventDefault()
    const fields = new FormData(event.currentTarget as HTMLFormElement)
    setProblem('')
    try {
      const topics = listOf(String(fields.get('topics')))
      const ttl = Number(fields.get('minutes')) * MINUTE
      setIssued(await issueTicket({ user: String(fields.get('user')).trim(), topics, ttl }))
    } catch (error) {
      setProblem(problemText(error))
    }
  }
  if (issued !== undefined) return <Issued {...issued} onClose={close} />
  return (
    <Dialog title={t('ticket.title')} onClose={close}>
      <form class="form" autocomplete="off" onSubmit={submit}>
        <label class="field">
          <span>{t('ticket.user')}</span>
          <input name="user" defaultValue={user} required maxLength={256} {...PLAIN} />
        </label>
        <label class="field">
          <span>{t('open.topics')}</span>
          <input name="topics" placeholder="news, orders/*" {...PLAIN} />
        </label>
        <label class="field">
          <span>{t('ticket.minutes')}</span>
          <input
            name="minutes"
            type="number"
            min="1"
            max={MAX_MINUTES}
            defaultValue={DEFAULT_MINUTES}
            required
            inputMode="numeric"
          />
        </label>
        <p class="hint">{t('ticket.hint')}</p>
        {problem && <Problem text={problem} />}
        <footer class="form-end">
          <button type="button" onClick={close}>
            {t('cancel')}
          </button>
          <button type="submit" class="primary">
            {t('ticket.issue')}
          </button>
        </footer>
      </form>
    </Dialog>
  )
}

function Issued({ ticket, expiresAt, onClose }: { ticket: string; expiresAt: string; onClose: () => void }) {
  const url = new URL('events', API_BASE)
  url.searchParams.set('ticket', ticket)
  return (
    <Dialog title={t('ticket.issued')} onClose={onClose}>
      <p role="status">{t('ticket.until', { time: dateTime(expiresAt) })}</p>
      <Code text={ticket} label={t('ticket.ticket')} />
      <Code text={`curl -N '${url.href}'`} label="curl" />
      <footer class="form-end">
        <button type="button" class="primary" onClick={onClose}>
          {t('close')}
        </button>
      </footer>
    </Dialog>
  )
}
