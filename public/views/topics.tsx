import { type Target, topicListeners } from '../hub/api.ts'
import { hubStats, may } from '../hub/health.ts'
import { openStream, streams } from '../hub/streams.ts'
import { go, route } from '../state/route.ts'
import { problemText, t } from '../texts/texts.ts'
import { Icon } from '../ui/icon.tsx'
import { Empty, Problem, Status } from '../ui/parts.tsx'
import { useAnswer } from '../ui/use-answer.ts'
import { HistoryBrowser } from './history-browser.tsx'
import { PLAIN } from './open-stream.tsx'
import { ViewHead } from './shell.tsx'

/** The history and the listeners of a topic, or the history of the events to everyone. */
export function Topics() {
  const { subject } = route.value
  if (!may('read'))
    return (
      <div class="view">
        <ViewHead title={t('topics.title')} about={t('topics.about')} />
        <Empty>{t('hubView.noRight')}</Empty>
      </div>
    )
  const known = [...new Set(streams.value.flatMap(({ wish }) => wish.topics))].sort()
  return (
    <div class="view">
      <ViewHead title={t('topics.title')} about={t('topics.about')} />
      <form
        class="subject"
        onSubmit={(event) => {
          event.preventDefault()
          go({ subject: String(new FormData(event.currentTarget).get('topic')).trim() })
        }}
      >
        <label class="field inline search">
          <span class="unseen">{t('topics.name')}</span>
          <input
            key={subject}
            name="topic"
            defaultValue={subject}
            placeholder={t('topics.name')}
            list="topics-known"
            {...PLAIN}
          />
        </label>
        <datalist id="topics-known">
          {known.map((topic) => (
            <option key={topic} value={topic} />
          ))}
        </datalist>
        <button type="submit">{t('topics.show')}</button>
        {known.map((topic) => (
          <button
            key={topic}
            type="button"
            class="small chip"
            aria-pressed={topic === subject}
            onClick={() => go({ subject: topic })}
          >
            {topic}
          </button>
        ))}
        <button type="button" class="small chip" aria-pressed={subject === ''} onClick={() => go({ subject: '' })}>
          {t('send.to.everyone')}
        </button>
      </form>
      {subject === '' ? <Everyone /> : <Topic key={subject} topic={subject} />}
    </div>
  )
}

function Everyone() {
  const target: Target = { kind: 'everyone' }
  return (
    <section class="detail" aria-labelledby="topic-title">
      <h2 id="topic-title">{t('topics.everyone')}</h2>
      <HistoryBrowser target={target} />
    </section>
  )
}

function Topic({ topic }: { topic: string }) {
  const counts = hubStats.value?.cluster
  const { value, problem } = useAnswer(`${topic}|${counts?.streams}`, () => topicListeners(topic))
  return (
    <section class="detail" aria-labelledby="topic-title">
      <header class="detail-head">
        <h2 id="topic-title">{topic}</h2>
        {value && (
          <Status tone={value.streams > 0 ? 'good' : 'end'}>{t('topics.listeners', { n: value.streams })}</Status>
        )}
        <span class="grow" />
        <button
          type="button"
          class="small"
          onClick={() => {
            openStream({ user: 'alice', topics: [topic], begin: { kind: 'now' } })
            go({ view: 'live' })
          }}
        >
          <Icon name="plus" />
          {t('topics.watch')}
        </button>
      </header>
      {problem !== undefined && <Problem text={problemText(problem)} />}
      <HistoryBrowser target={{ kind: 'topic', name: topic }} />
    </section>
  )
}
