import { MAX_CONNECTIONS, STREAM_SLOTS } from '../hub/connection-slots.ts'
import { redraws } from '../hub/frame-clock.ts'
import { may } from '../hub/health.ts'
import type { HubStream, StreamState } from '../hub/hub-stream.ts'
import { cut, MEANWHILE, stories } from '../hub/replay-story.ts'
import { hueOf, removeStream, streams } from '../hub/streams.ts'
import { openStreamDialog } from '../state/dialogs.ts'
import { age, number, problemText, t, textOf } from '../texts/texts.ts'
import { Icon, IconButton } from '../ui/icon.tsx'
import { Hue, Status } from '../ui/parts.tsx'
import { closeUserForGood } from './closing.ts'

const TONES: Record<StreamState, string> = {
  queued: 'wait',
  connecting: 'wait',
  open: 'good',
  stale: 'wait',
  reconnecting: 'wait',
  closed: 'end',
  refused: 'bad',
  stopped: 'end'
}

/** The streams of this page, one compact entry each. */
export function StreamsRail() {
  const all = streams.value
  const waiting = all.some(({ state }) => state === 'queued')
  void redraws.value
  return (
    <section class="rail" aria-labelledby="streams-title">
      <header class="rail-head">
        <h2 id="streams-title">{t('streams.title')}</h2>
        {all.length > 1 && mayCut() && (
          <button type="button" class="small" disabled={!all.some(({ canBeCut }) => canBeCut)} onClick={() => cut(all)}>
            <Icon name="cut" />
            {t('streams.cutAll')}
          </button>
        )}
        <button type="button" class="small" onClick={() => (openStreamDialog.value = true)}>
          <Icon name="plus" />
          {t('streams.open')}
        </button>
      </header>
      {all.length === 0 && <p class="empty">{t('streams.none')}</p>}
      <ul class="streams">
        {all.map((stream) => (
          <StreamEntry key={stream.key} stream={stream} />
        ))}
      </ul>
      {waiting && (
        <p class="notice" role="alert">
          {t('streams.queued', { max: MAX_CONNECTIONS, slots: STREAM_SLOTS })}
        </p>
      )}
    </section>
  )
}

/** A cut closes the stream, and publishes three events meanwhile. */
const mayCut = () => may('close') && may('publish')

function StreamEntry({ stream }: { stream: HubStream }) {
  void redraws.value
  const { user } = stream
  const { topics } = stream.wish
  const { received, replayed, gaps } = stream.counts
  return (
    <li class="stream">
      <article aria-label={t('stream.label', { user, number: stream.key + 1 })}>
        <div class="stream-line">
          <Hue of={hueOf(stream)} isOpen={stream.state === 'open'} />
          <strong class="stream-user" title={user}>
            {user}
          </strong>
          <State stream={stream} />
        </div>
        <div class="stream-line soft">
          <span class="stream-topics" title={topics.join(', ')}>
            {topics.length > 0 ? topics.join(', ') : t('stream.noTopics')}
          </span>
          <span class="stream-counts">
            <span title={t('count.received')}>{t('count.received.short', { n: received })}</span>
            {replayed > 0 && <span title={t('count.replayed')}>{t('count.replayed.short', { n: replayed })}</span>}
            {gaps > 0 && <span data-tone="bad">{t('count.gaps.short', { n: gaps })}</span>}
          </span>
        </div>
        <StoryLine stream={stream} />
        {stream.refusal && stream.state === 'refused' && (
          <p class="stream-story" data-tone="bad">
            {problemText(stream.refusal)}
          </p>
        )}
        <Actions stream={stream} />
      </article>
    </li>
  )
}

function State({ stream }: { stream: HubStream }) {
  void redraws.value
  const state = stream.isStale ? 'stale' : stream.state
  const reason = textOf(`closed.${stream.reason}`, {}, stream.reason)
  const title = stream.lastSeen > 0 ? t('stream.lastSeen', { age: age(stream.lastSeen) }) : undefined
  return (
    <span class="stream-state" role="status" title={title}>
      <Status tone={TONES[state]}>{t(`state.${state}`, { reason })}</Status>
    </span>
  )
}

/** The course of the last cut. */
function StoryLine({ stream }: { stream: HubStream }) {
  void redraws.value
  const story = stories.get(stream)
  if (story === undefined || (stream.isOver && story.step !== 'failed')) return null
  const tone = { exact: 'good', gapped: 'bad', wrong: 'bad', failed: 'bad' }[story.step as string] ?? 'wait'
  const seconds = number(story.seconds ?? 0, 1)
  const problem = story.problem === undefined ? '' : problemText(story.problem)
  return (
    <p class="stream-story" data-tone={tone} role="status">
      {t(`story.${story.step}`, { ...story, seconds, of: MEANWHILE, problem })}
    </p>
  )
}

function Actions({ stream }: { stream: HubStream }) {
  void redraws.value
  const { user } = stream
  return (
    <div class="stream-actions">
      {stream.isOver ? (
        <button type="button" class="small" onClick={() => void stream.start()}>
          <Icon name="again" />
          {t('stream.again')}
        </button>
      ) : (
        mayCut() && (
          <button type="button" class="small" disabled={!stream.canBeCut} onClick={() => cut([stream])}>
            <Icon name="cut" />
            {t('stream.cut')}
          </button>
        )
      )}
      {!stream.isOver && <IconButton icon="stop" label={t('stream.stop', { user })} onClick={() => stream.stop()} />}
      {!stream.isOver && may('close') && (
        <IconButton
          icon="ban"
          label={t('users.closeFor', { user })}
          onClick={() => closeUserForGood(user)}
          tone="danger"
        />
      )}
      <IconButton icon="close" label={t('stream.remove', { user })} onClick={() => removeStream(stream)} />
    </div>
  )
}
