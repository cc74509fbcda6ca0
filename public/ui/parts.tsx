import type { ComponentChildren } from 'preact'
import { useState } from 'preact/hooks'
import { HUES } from '../hub/streams.ts'
import { t } from '../texts/texts.ts'
import { Icon } from './icon.tsx'

/** The colour of a stream as a small disc. */
export function Hue({ of, isOpen = true }: { of: number; isOpen?: boolean }) {
  return <span class={`hue hue-${of % HUES} ${isOpen ? '' : 'hollow'}`} aria-hidden="true" />
}

/** A word with a mark of its tone, which does not depend on the colour alone. */
export function Status({ tone, children }: { tone: string; children: ComponentChildren }) {
  return (
    <span class="status" data-tone={tone}>
      <span class="status-mark" aria-hidden="true" />
      {children}
    </span>
  )
}

export function Code({ text, label }: { text: string; label: string }) {
  return (
    <div class="code">
      <pre tabIndex={0} role="region" aria-label={label}>
        {text}
      </pre>
      <CopyButton text={text} />
    </div>
  )
}

export function CopyButton({ text }: { text: string }) {
  const [isDone, setDone] = useState(false)
  return (
    <button
      type="button"
      class="small copy"
      onClick={async () => {
        setDone(await copy(text))
        setTimeout(() => setDone(false), 1_500)
      }}
    >
      <Icon name={isDone ? 'check' : 'copy'} />
      <span aria-live="polite">{t(isDone ? 'copied' : 'copy')}</span>
    </button>
  )
}

/** The clipboard exists on secure pages only. */
async function copy(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text)
    return true
  } catch {
    const area = document.createElement('textarea')
    area.value = text
    ;(document.querySelector('dialog[open]') ?? document.body).append(area)
    area.select()
    // Deprecated, and the only way on a page of plain HTTP.
    const isDone = document.execCommand('copy')
    area.remove()
    return isDone
  }
}

/** Names with values, as a definition list. */
export function Facts({ of }: { of: readonly (readonly [string, ComponentChildren])[] }) {
  return (
    <dl class="facts">
      {of.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  )
}

/** The steps between pages; undefined at either end. */
export function Pager(props: {
  back: (() => void) | undefined
  on: (() => void) | undefined
  backLabel: string
  onLabel: string
  children?: ComponentChildren
}) {
  const { back, on, backLabel, onLabel, children } = props
  return (
    <div class="pager">
      {children ?? <span class="grow" />}
      <button type="button" class="small" disabled={!back} onClick={() => back?.()}>
        <Icon name="left" />
        {backLabel}
      </button>
      <button type="button" class="small" disabled={!on} onClick={() => on?.()}>
        {onLabel}
        <Icon name="right" />
      </button>
    </div>
  )
}

export function Empty({ children }: { children: ComponentChildren }) {
  return <p class="empty">{children}</p>
}

export function Problem({ text }: { text: string }) {
  return (
    <p class="problem" role="alert">
      {text}
    </p>
  )
}
