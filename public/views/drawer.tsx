import { useEffect, useRef, useState } from 'preact/hooks'
import type { Target } from '../hub/api.ts'
import type { EventRow, NoteRow } from '../hub/event-store.ts'
import { redraws } from '../hub/frame-clock.ts'
import { type Located, locate } from '../hub/locate.ts'
import { sentAs } from '../hub/sending.ts'
import { codeFor } from '../hub/snippets.ts'
import { streams } from '../hub/streams.ts'
import { selected } from '../state/dialogs.ts'
import { clockTime, dateTime, duration, number, t } from '../texts/texts.ts'
import { Icon, IconButton } from '../ui/icon.tsx'
import { indented } from '../ui/json.ts'
import { Code, Facts, Hue } from '../ui/parts.tsx'
import { noteText } from './note-text.ts'

const TABS = ['event', 'frame', 'code'] as const

/** Everything about one row of the log. */
export function Drawer() {
  const row = selected.value
  const panel = useRef<HTMLElement>(null)
  const isOpen = row !== undefined
  useEffect(() => {
    if (!isOpen) return
    const close = (event: KeyboardEvent) => {
      if (event.key === 'Escape' && document.querySelector('dialog[open]') === null) closeDrawer()
    }
    addEventListener('keydown', close)
    return () => removeEventListener('keydown', close)
  }, [isOpen])
  if (row === undefined) return null
  return (
    <aside class="drawer" ref={panel} aria-labelledby="drawer-title">
      <header class="drawer-head">
        <h2 id="drawer-title">{row.kind === 'event' ? <code>{row.name}</code> : t('drawer.note')}</h2>
        <IconButton icon="close" label={t('close')} onClick={closeDrawer} />
      </header>
      {row.kind === 'event' ? <EventDetails key={row.seq} row={row} /> : <NoteDetails row={row} />}
    </aside>
  )
}

function closeDrawer(): void {
  selected.value = undefined
  document.querySelector<HTMLElement>('.virtual-list')?.focus({ preventScroll: true })
}

function EventDetails({ row }: { row: EventRow }) {
  void redraws.value
  const [tab, setTab] = useState<(typeof TABS)[number]>('event')
  const tabs = (
    <div class="tab-list" role="tablist" aria-label={t('drawer.parts')}>
      {TABS.map((name) => (
        <button
          key={name}
          type="button"
          role="tab"
          id={`tab-${name}`}
          aria-selected={tab === name}
          aria-controls="tab-panel"
          tabIndex={tab === name ? 0 : -1}
          onClick={() => setTab(name)}
          onKeyDown={(event) => {
            const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key]
            if (step === undefined) return
            const next = TABS[(TABS.indexOf(name) + step + TABS.length) % TABS.length] as (typeof TABS)[number]
            setTab(next)
            document.getElementById(`tab-${next}`)?.focus()
          }}
        >
          {t(`drawer.${name}`)}
        </button>
      ))}
    </div>
  )
  return (
    <>
      {tabs}
      <div class="drawer-body" role="tabpanel" id="tab-panel" aria-labelledby={`tab-${tab}`} tabIndex={0}>
        {tab === 'event' && <EventFacts row={row} />}
        {tab === 'frame' && <Frame raw={row.raw} />}
        {tab === 'code' && <Snippets row={row} />}
      </div>
    </>
  )
}

function EventFacts({ row }: { row: EventRow }) {
  const [found, setFound] = useState<Located | 'asking' | undefined>('asking')
  useEffect(() => {
    let isOver = false
    const listeners = streams.value.filter(({ key }) => row.marks.has(key))
    void locate(row, listeners).then((located) => !isOver && setFound(located))
    return () => {
      isOver = true
    }
  }, [row])
  const [seq = '', witness = ''] = row.id.split('.')
  const mine = sentAs(row.id)
  const published = found === 'asking' ? '…' : found ? dateTime(found.time) : t('drawer.unknown')
  const delay = found !== 'asking' && found ? row.time - new Date(found.time).getTime() : undefined
  return (
    <>
      <Data text={row.data} />
      <Facts
        of={[
          [t('drawer.id'), row.id ? <code class="wrap">{row.id}</code> : t('log.transient')],
          ...(row.id
            ? ([
                [
                  t('drawer.id.means'),
                  t('drawer.id.parts', {
                    n: number(Number.parseInt(seq, 36)),
                    epoch: witness.slice(0, 8),
                    entry: witness.slice(8)
                  })
                ]
              ] as const)
            : []),
          [t('drawer.target'), targetText(mine?.target ?? (found !== 'asking' ? found?.target : undefined))],
          [t('drawer.published'), row.id ? published : t('drawer.unknown')],
          [t('drawer.arrived'), clockTime(row.time)],
          ...(delay !== undefined ? ([[t('drawer.latency'), delayText(row, Math.max(0, delay))]] as const) : []),
          [t('drawer.size'), t('drawer.size.value', { n: new TextEncoder().encode(row.raw).length })]
        ]}
      />
      <h3>{t('drawer.received')}</h3>
      <ul class="received">
        {streams.value.map((stream) => {
          const mark = row.marks.get(stream.key)
          return (
            <li key={stream.key}>
              <Hue of={stream.key} isOpen={mark !== undefined} /> {stream.wish.user}
              <span class="soft">{mark ? t(`mark.${mark}`) : t('mark.none')}</span>
            </li>
          )
        })}
      </ul>
    </>
  )
}

/** A replayed event is late because its stream was away, not because it was slow. */
function delayText({ marks }: EventRow, delay: number): string {
  const isLive = [...marks.values()].includes('live')
  return isLive ? t('drawer.latency.value', { n: delay }) : t('drawer.latency.replayed', { delay: duration(delay) })
}

function targetText(target: Target | undefined): string {
  if (target === undefined) return t('drawer.unknown')
  return target.kind === 'everyone' ? t('send.to.everyone') : `${t(`send.to.${target.kind}`)} ${target.name}`
}

/** The data with its numbers as they came. */
export function Data({ text }: { text: string }) {
  const tokens = indented(text)
  return (
    <div class="code">
      <pre class="data" tabIndex={0} role="region" aria-label={t('send.data')}>
        {tokens === undefined
          ? text || ' '
          : tokens.map(({ kind, text: piece }, index) => (
              <span key={index} class={`json-${kind}`}>
                {piece}
              </span>
            ))}
      </pre>
    </div>
  )
}

/** The bytes of the block as they came, with visible line ends. */
function Frame({ raw }: { raw: string }) {
  return (
    <>
      <p class="hint">{t('drawer.frame.hint')}</p>
      <Code text={raw} label={t('drawer.frame')} />
      <ol class="frame-lines">
        {raw
          .split('\n')
          .slice(0, -1)
          .map((line, index) => (
            <li key={index}>
              <code>{line}</code>
              <span class="line-end" aria-hidden="true">
                ␊
              </span>
            </li>
          ))}
      </ol>
    </>
  )
}

function Snippets({ row }: { row: EventRow }) {
  const mine = sentAs(row.id)
  const [first] = streams.value.filter(({ key }) => row.marks.has(key))
  const target: Target = mine?.target ?? { kind: 'user', name: first?.wish.user ?? 'alice' }
  const draft = mine?.draft ?? { event: row.name, data: row.data }
  return (
    <>
      {codeFor(target, draft).map(({ name, code }) => (
        <section key={name} class="snippet">
          <h3>{t(`drawer.code.${name}`)}</h3>
          <Code text={code} label={t(`drawer.code.${name}`)} />
        </section>
      ))}
    </>
  )
}

function NoteDetails({ row }: { row: NoteRow }) {
  return (
    <div class="drawer-body">
      <p class="note-details" data-tone={row.tone}>
        {row.isGap && <Icon name="gap" />} {noteText(row)}
      </p>
      {row.isGap && <p class="hint">{t('drawer.gap.hint')}</p>}
      <Facts of={[[t('drawer.arrived'), clockTime(row.time)]]} />
      {row.raw && <Frame raw={row.raw} />}
    </div>
  )
}
