import { computed } from '@preact/signals'
import { useEffect, useState } from 'preact/hooks'
import { type EventRow, type NoteRow, type Row, store } from '../hub/event-store.ts'
import { redraws } from '../hub/frame-clock.ts'
import { hueOf, streams } from '../hub/streams.ts'
import { selected } from '../state/dialogs.ts'
import { logView } from '../state/log-view.ts'
import { go, route } from '../state/route.ts'
import { clockTime, t } from '../texts/texts.ts'
import { IconButton } from '../ui/icon.tsx'
import { VirtualList } from '../ui/virtual-list.tsx'
import { LogAnnouncer } from './log-announcer.tsx'
import { noteText } from './note-text.ts'

/** Characters of data that a row shows. */
const PREVIEW = 400

const isPhone = matchMedia('(max-width: 760px)')

/** The rows of all streams: a lane for each stream, with a mark for each event that it received. */
export function Log() {
  void redraws.value
  const { order } = route.value
  const isNewestFirst = order === 'newest'
  const rowHeight = useRowHeight()
  const { rows } = logView
  const count = rows.length
  const at = (index: number) => rows[isNewestFirst ? count - 1 - index : index] as Row
  const current = selected.value
  const active = current === undefined ? undefined : indexOf(rows, current, isNewestFirst)
  return (
    <section class="log" aria-labelledby="log-title">
      <LogTools />
      <div class="log-list" style={{ '--lanes': String(lanes.value.length) }}>
        <VirtualList
          count={count}
          dropped={logView.droppedRows}
          rowHeight={rowHeight}
          isNewestFirst={isNewestFirst}
          label={t('log.label')}
          active={active}
          idOf={(index) => `row-${at(index).seq}`}
          onMove={(index) => {
            // With the drawer open, the keys show one event after the other.
            if (current !== undefined) selected.value = at(index)
          }}
          onOpen={(index) => (selected.value = at(index))}
          row={(index) => <LogRow row={at(index)} />}
        />
        {count === 0 && <p class="log-empty">{t(store.rows.length === 0 ? 'log.empty' : 'log.noMatch')}</p>}
      </div>
      <LogAnnouncer />
    </section>
  )
}

const lanes = computed(() =>
  streams.value.map((stream) => ({ key: stream.key, hue: hueOf(stream), user: stream.wish.user }))
)

/** Rows are sorted by their number, so the row is found by bisection. */
function indexOf(rows: readonly Row[], row: Row, isNewestFirst: boolean): number | undefined {
  let low = 0
  let high = rows.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((rows[middle] as Row).seq < row.seq) low = middle + 1
    else high = middle
  }
  if (rows[low] !== row) return undefined
  return isNewestFirst ? rows.length - 1 - low : low
}

function useRowHeight(): number {
  const [isNarrow, setNarrow] = useState(isPhone.matches)
  useEffect(() => {
    const change = () => setNarrow(isPhone.matches)
    isPhone.addEventListener('change', change)
    return () => isPhone.removeEventListener('change', change)
  }, [])
  return isNarrow ? 56 : 30
}

function LogTools() {
  void redraws.value
  const { filter, order } = route.value
  const isPaused = logView.isPaused.value
  return (
    <header class="log-tools">
      <h2 id="log-title" class="unseen">
        {t('log.title')}
      </h2>
      <label class="field search">
        <span class="unseen">{t('log.filter')}</span>
        <input
          type="search"
          value={filter}
          placeholder={t('log.filter.hint')}
          spellcheck={false}
          autocapitalize="none"
          onInput={(event) => go({ filter: event.currentTarget.value })}
        />
      </label>
      <span class="soft log-count">
        {logView.waiting > 0 ? t('log.waiting', { n: logView.waiting }) : t('log.count', { n: logView.rows.length })}
        {store.dropped > 0 && ` · ${t('log.dropped', { n: store.dropped })}`}
      </span>
      <IconButton
        icon={isPaused ? 'play' : 'pause'}
        label={t(isPaused ? 'log.resume' : 'log.pause')}
        pressed={isPaused}
        onClick={() => logView.pause(!isPaused)}
      />
      <IconButton
        icon={order}
        label={t(`log.order.${order}`)}
        onClick={() => go({ order: order === 'newest' ? 'oldest' : 'newest' })}
      />
      <IconButton icon="export" label={t('log.export')} onClick={exportRows} disabled={logView.rows.length === 0} />
      <IconButton icon="trash" label={t('log.clear')} onClick={() => store.clear()} />
    </header>
  )
}

function LogRow({ row }: { row: Row }) {
  return row.kind === 'event' ? <EventLine row={row} /> : <NoteLine row={row} />
}

function EventLine({ row }: { row: EventRow }) {
  void redraws.value
  return (
    <div class="row">
      <time>{clockTime(row.time)}</time>
      <Lanes row={row} />
      <span class="row-name">{row.name}</span>
      <span class="row-data">{row.data.slice(0, PREVIEW)}</span>
      <span class="row-id">{row.id || t('log.transient')}</span>
    </div>
  )
}

function NoteLine({ row }: { row: NoteRow }) {
  return (
    <div class="row note" data-tone={row.tone}>
      <time>{clockTime(row.time)}</time>
      <Lanes row={row} />
      <span class="row-text">{noteText(row)}</span>
    </div>
  )
}

/** One column per stream. The text for screen readers names the users. */
function Lanes({ row }: { row: Row }) {
  void redraws.value
  const markOf = (key: number) => {
    if (row.kind === 'event') return row.marks.get(key)
    if (row.stream !== key) return undefined
    return row.isGap ? 'gap' : 'note'
  }
  const heard = lanes.value.filter(({ key }) => markOf(key) !== undefined)
  return (
    <span class="lanes">
      {lanes.value.map(({ key, hue }) => (
        <span key={key} class={`lane hue-${hue}`} data-mark={markOf(key)} aria-hidden="true" />
      ))}
      <span class="unseen">
        {heard.map(({ key, user }) => `${user} ${t(`mark.${markOf(key) as 'live'}`)}`).join(', ')}
      </span>
    </span>
  )
}

/** Saves the rows that match the filter, one JSON object a line. */
function exportRows(): void {
  const users = new Map(streams.value.map(({ key, wish }) => [key, wish.user]))
  const lines = logView.rows.map((row) => {
    const time = new Date(row.time).toISOString()
    if (row.kind === 'note') return JSON.stringify({ time, user: users.get(row.stream), note: noteText(row) })
    const received = Array.from(row.marks, ([key, mark]) => ({ stream: key, user: users.get(key), mark }))
    return JSON.stringify({ time, event: row.name, id: row.id || null, data: row.data, received })
  })
  const url = URL.createObjectURL(new Blob([lines.join('\n'), '\n'], { type: 'application/x-ndjson' }))
  const link = Object.assign(document.createElement('a'), {
    href: url,
    download: `events-${new Date().toISOString().replaceAll(':', '-')}.ndjson`
  })
  link.click()
  setTimeout(() => URL.revokeObjectURL(url), 10_000)
}
