import { useState } from 'preact/hooks'
import { onlineUsers } from '../hub/api.ts'
import { hubStats, may } from '../hub/health.ts'
import { go, route } from '../state/route.ts'
import { number, problemText, t } from '../texts/texts.ts'
import { IconButton } from '../ui/icon.tsx'
import { Empty, Pager, Problem } from '../ui/parts.tsx'
import { useAnswer } from '../ui/use-answer.ts'
import { closeUserForGood } from './closing.ts'
import { PLAIN } from './open-stream.tsx'
import { ViewHead } from './shell.tsx'
import { UserDetails } from './user-details.tsx'

const PAGE = 50

/** The users online on all nodes, and everything about one of them. */
export function Users() {
  const { subject } = route.value
  return (
    <div class="view">
      <ViewHead title={t('users.title')} about={t('users.about')} />
      {may('read') ? (
        <div class="split" data-detail={subject !== '' || undefined}>
          <OnlineList />
          {subject === '' ? <Empty>{t('users.choose')}</Empty> : <UserDetails key={subject} user={subject} />}
        </div>
      ) : (
        <Empty>{t('hubView.noRight')}</Empty>
      )}
    </div>
  )
}

function OnlineList() {
  const [prefix, setPrefix] = useState('')
  const [pages, setPages] = useState<readonly string[]>([])
  const after = pages.at(-1) ?? prefixStart(prefix)
  const counts = hubStats.value?.cluster
  const key = `${after}|${counts?.users}|${counts?.streams}`
  const { value, problem, isAsking, reload } = useAnswer(key, () => onlineUsers({ after, limit: PAGE }))
  const users = (value?.users ?? []).filter(({ user }) => user.startsWith(prefix))
  const search = (text: string) => {
    setPrefix(text.trim())
    setPages([])
  }
  return (
    <section class="list" aria-labelledby="online-title">
      <header class="list-head">
        <h2 id="online-title" class="unseen">
          {t('users.title')}
        </h2>
        <form
          class="search-form"
          onSubmit={(event) => {
            event.preventDefault()
            if (prefix) go({ view: 'users', subject: prefix })
          }}
        >
          <label class="field search">
            <span class="unseen">{t('users.search')}</span>
            <input
              type="search"
              placeholder={t('users.search')}
              onInput={(event) => search(event.currentTarget.value)}
              {...PLAIN}
            />
          </label>
        </form>
        <IconButton icon="again" label={t('reload')} onClick={reload} />
      </header>
      {problem !== undefined && <Problem text={problemText(problem)} />}
      <ul class="lines">
        {users.map(({ user, streams }) => (
          <li key={user} aria-current={route.value.subject === user || undefined}>
            <button type="button" class="line" onClick={() => go({ view: 'users', subject: user })}>
              <span class="line-name">{user}</span>
              <span class="soft">{t('users.streams', { n: streams })}</span>
            </button>
            {may('close') && (
              <IconButton
                icon="ban"
                label={t('users.closeFor', { user })}
                tone="danger"
                onClick={() => closeUserForGood(user, reload)}
              />
            )}
          </li>
        ))}
      </ul>
      {value !== undefined && users.length === 0 && <Empty>{t(prefix ? 'users.noneFound' : 'users.none')}</Empty>}
      <Pager
        back={pages.length > 0 ? () => setPages(pages.slice(0, -1)) : undefined}
        on={value?.next ? () => setPages([...pages, value.next as string]) : undefined}
        backLabel={t('page.previous')}
        onLabel={t('page.next')}
      >
        <span class="soft">{counts ? t('users.total', { n: number(counts.users) }) : isAsking ? t('asking') : ''}</span>
      </Pager>
    </section>
  )
}

/** The list is in the order of names, so a prefix is found by a page that begins just before it. */
function prefixStart(prefix: string): string {
  const letters = [...prefix]
  const last = letters.at(-1)
  if (last === undefined) return ''
  const code = (last.codePointAt(0) as number) - 1
  if (code < 1) return letters.slice(0, -1).join('')
  // Half of a surrogate pair is not a letter.
  const before = code >= 0xd800 && code <= 0xdfff ? 0xd7ff : code
  return `${letters.slice(0, -1).join('')}${String.fromCodePoint(before)}\u{10ffff}`
}
