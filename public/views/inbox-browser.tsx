import { useState } from 'preact/hooks'
import { inbox, retract } from '../hub/api.ts'
import { may } from '../hub/health.ts'
import { question } from '../state/dialogs.ts'
import { problemText, t } from '../texts/texts.ts'
import { IconButton } from '../ui/icon.tsx'
import { Pager, Problem } from '../ui/parts.tsx'
import { useAnswer } from '../ui/use-answer.ts'
import { announcement } from './closing.ts'
import { EventTable } from './event-table.tsx'

/** The inbox of a user, the newest event first, page by page. */
export function InboxBrowser({ user }: { user: string }) {
  const [before, setBefore] = useState<readonly string[]>([])
  const page = before.at(-1) ?? ''
  const { value, problem, reload } = useAnswer(`${user}|${page}`, () => inbox(user, { before: page, limit: 20 }))
  if (value !== undefined && value.events.length === 0 && before.length === 0) return null
  return (
    <>
      <h3>
        {t('inbox.title')} {value && <span class="count">{t('inbox.unread', { n: value.unread })}</span>}
      </h3>
      {problem !== undefined && <Problem text={problemText(problem)} />}
      {value && (
        <EventTable
          events={value.events}
          isUnread={(event) => (event as { isRead?: boolean }).isRead === false}
          action={
            may('publish')
              ? ({ id }) => (
                  <IconButton
                    icon="trash"
                    label={t('inbox.retract', { id })}
                    tone="danger"
                    onClick={() => askRetract(user, id, reload)}
                  />
                )
              : undefined
          }
        />
      )}
      <Pager
        back={before.length > 0 ? () => setBefore(before.slice(0, -1)) : undefined}
        on={value?.next ? () => setBefore([...before, value.next as string]) : undefined}
        backLabel={t('inbox.newer')}
        onLabel={t('inbox.older')}
      />
    </>
  )
}

function askRetract(user: string, id: string, onDone: () => void): void {
  question.value = {
    title: t('inbox.retract.title'),
    text: t('inbox.retract.text', { user }),
    action: t('inbox.retract.action'),
    run: async () => {
      const { retracted } = await retract(user, id)
      announcement.value = t(retracted ? 'inbox.retracted' : 'inbox.wasGone')
      onDone()
    }
  }
}
