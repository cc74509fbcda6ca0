import { revokeTickets, streamsOf } from '../hub/api.ts'
import { may, mayIssueTickets, polls } from '../hub/health.ts'
import { openStream } from '../hub/streams.ts'
import { question, ticketDialog } from '../state/dialogs.ts'
import { go } from '../state/route.ts'
import { problemText, t } from '../texts/texts.ts'
import { Icon } from '../ui/icon.tsx'
import { Empty, Problem, Status } from '../ui/parts.tsx'
import { useAnswer } from '../ui/use-answer.ts'
import { announcement, closeUserForGood } from './closing.ts'
import { HistoryBrowser } from './history-browser.tsx'
import { InboxBrowser } from './inbox-browser.tsx'
import { UserStreams } from './user-streams.tsx'

/** One user: open streams on all nodes, inbox, history. */
export function UserDetails({ user }: { user: string }) {
  const { value, problem, reload } = useAnswer(`${user}|${polls.value}`, () => streamsOf(user))
  const isOnline = value !== undefined && value.streams.length > 0
  return (
    <section class="detail" aria-labelledby="detail-title">
      <header class="detail-head">
        <button type="button" class="small back" onClick={() => go({ subject: '' })}>
          <Icon name="left" />
          {t('back')}
        </button>
        <h2 id="detail-title">{user}</h2>
        {value && <Status tone={isOnline ? 'good' : 'end'}>{t(isOnline ? 'users.online' : 'users.offline')}</Status>}
        <span class="grow" />
        <button
          type="button"
          class="small"
          onClick={() => {
            openStream({ user, topics: [], begin: { kind: 'now' } })
            go({ view: 'live' })
          }}
        >
          <Icon name="plus" />
          {t('users.watch')}
        </button>
        {mayIssueTickets() && (
          <>
            <button type="button" class="small" onClick={() => (ticketDialog.value = user)}>
              {t('ticket.issue')}
            </button>
            <button type="button" class="small" onClick={() => revoke(user)}>
              {t('users.revoke')}
            </button>
          </>
        )}
        {may('close') && (
          <button
            type="button"
            class="small danger"
            disabled={!isOnline}
            onClick={() => closeUserForGood(user, reload)}
          >
            {t('close.action')}
          </button>
        )}
      </header>
      {problem !== undefined && <Problem text={problemText(problem)} />}
      <h3>{t('users.openStreams')}</h3>
      {isOnline ? <UserStreams of={value.streams} onChange={reload} /> : <Empty>{t('users.noStreams')}</Empty>}
      <InboxBrowser user={user} />
      <h3>{t('history.title')}</h3>
      <HistoryBrowser target={{ kind: 'user', name: user }} />
    </section>
  )
}

function revoke(user: string): void {
  question.value = {
    title: t('users.revoke.title', { user }),
    text: t('users.revoke.text'),
    action: t('users.revoke'),
    run: async () => {
      const { revoked } = await revokeTickets(user)
      announcement.value = t('users.revoked', { n: revoked })
    }
  }
}
