import { useState } from 'preact/hooks'
import { inbox, presence, retract, revokeTickets } from '../hub/api.ts'
import { redraws } from '../hub/frame-clock.ts'
import { hubStats, rights } from '../hub/health.ts'
import { openStream } from '../hub/streams.ts'
import { question } from '../state/dialogs.ts'
import { go } from '../state/route.ts'
import { age, dateTime, problemText, t } from '../texts/texts.ts'
import { Icon, IconButton } from '../ui/icon.tsx'
import { Empty, Problem, Status } from '../ui/parts.tsx'
import { useAnswer } from '../ui/use-answer.ts'
import { announcement, closeUserForGood, endStream } from './closing.ts'
import { EventTable } from './event-table.tsx'
import { HistoryBrowser } from './history-browser.tsx'

/** One user: open streams on all nodes, inbox, history. */
export function UserDetails({ user }: { user: string }) {
  const counts = hubStats.value?.cluster
  const { value, problem, reload } = useAnswer(`${user}|${counts?.streams}`, () => presence(user))
  return (
    <section class="detail" aria-labelledby="detail-title">
      <header class="detail-head">
        <button type="button" class="small back" onClick={() => go({ subject: '' })}>
          <Icon name="left" />
          {t('back')}
        </button>
        <h2 id="detail-title">{user}</h2>
        {value && (
          <Status tone={value.online ? 'good' : 'end'}>{t(value.online ? 'users.online' : 'users.offline')}</Status>
        )}
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
        {rights.value?.isOpen === false && (
          <button type="button" class="small" onClick={() => revoke(user)}>
            {t('users.revoke')}
          </button>
        )}
        <button
          type="button"
          class="small danger"
          disabled={!value?.online}
          onClick={() => closeUserForGood(user, reload)}
        >
          {t('close.action')}
        </button>
      </header>
      {problem !== undefined && <Problem text={problemText(problem)} />}
      <h3>{t('users.openStreams')}</h3>
      {value && value.streams.length > 0 ? (
        <StreamTable of={value.streams} onChange={reload} />
      ) : (
        <Empty>{t('users.noStreams')}</Empty>
      )}
      <InboxBrowser user={user} />
      <h3>{t('history.title')}</h3>
      <HistoryBrowser target={{ kind: 'user', name: user }} />
    </section>
  )
}

function StreamTable({
  of,
  onChange
}: {
  of: readonly { id: string; since: string; topics: string[] }[]
  onChange: () => void
}) {
  void redraws.value
  return (
    <div class="table-box">
      <table>
        <thead>
          <tr>
            <th scope="col">{t('stream.id')}</th>
            <th scope="col">{t('stream.age')}</th>
            <th scope="col">{t('stream.topics')}</th>
            <th scope="col">
              <span class="unseen">{t('actions')}</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {of.map(({ id, since, topics }) => (
            <tr key={id}>
              <td>
                <code>{id}</code>
              </td>
              <td title={dateTime(since)}>{age(since)}</td>
              <td class="wrap">{topics.join(', ') || '–'}</td>
              <td class="row-actions">
                <IconButton
                  icon="cut"
                  label={t('stream.cutOne', { id })}
                  onClick={() => endStream(id, true, onChange)}
                />
                <IconButton
                  icon="ban"
                  label={t('stream.closeOne', { id })}
                  tone="danger"
                  onClick={() => endStream(id, false, onChange)}
                />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

function InboxBrowser({ user }: { user: string }) {
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
          action={({ id }) => (
            <IconButton
              icon="trash"
              label={t('inbox.retract', { id })}
              tone="danger"
              onClick={() => askRetract(user, id, reload)}
            />
          )}
        />
      )}
      <div class="pager">
        <button
          type="button"
          class="small"
          disabled={before.length === 0}
          onClick={() => setBefore(before.slice(0, -1))}
        >
          {t('inbox.newer')}
        </button>
        <button
          type="button"
          class="small"
          disabled={!value?.next}
          onClick={() => value?.next && setBefore([...before, value.next])}
        >
          {t('inbox.older')}
        </button>
      </div>
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
