import { useSignal } from '@preact/signals'
import { useId, useRef } from 'preact/hooks'
import type { Target } from '../hub/api.ts'
import { send, sending } from '../hub/sending.ts'
import type { Draft } from '../hub/types.ts'
import { sendDialog } from '../state/dialogs.ts'
import { t } from '../texts/texts.ts'
import { Dialog } from '../ui/dialog.tsx'
import { Icon } from '../ui/icon.tsx'
import { formatOf } from '../ui/json.ts'
import { PLAIN } from './open-stream.tsx'
import { SendResult } from './send-result.tsx'

const KINDS = ['user', 'topic', 'everyone'] as const

/** The form that publishes: docked below the log, and on a phone in a sheet. */
export function Composer({ isSheet = false }: { isSheet?: boolean }) {
  const kind = useSignal<(typeof KINDS)[number]>('user')
  const data = useSignal('{ "order": 42, "total": 19.90 }')
  const form = useRef<HTMLFormElement>(null)
  const id = useId()
  const submit = (event: SubmitEvent) => {
    event.preventDefault()
    const fields = new FormData(event.currentTarget as HTMLFormElement)
    void send(targetOf(kind.value, String(fields.get('name') ?? '')), draftOf(fields))
  }
  return (
    <form
      ref={form}
      class={`composer ${isSheet ? 'form' : 'docked'}`}
      aria-label={t('send.title')}
      autocomplete="off"
      onSubmit={submit}
    >
      <div class="composer-line">
        <fieldset class="segments">
          <legend class="unseen">{t('send.to')}</legend>
          {KINDS.map((name) => (
            <label key={name}>
              <input
                type="radio"
                name={`to-${id}`}
                value={name}
                checked={kind.value === name}
                onChange={() => (kind.value = name)}
              />
              <span>{t(`send.to.${name}`)}</span>
            </label>
          ))}
        </fieldset>
        {kind.value !== 'everyone' && (
          <label class="field inline named">
            <span>{t(`send.${kind.value}`)}</span>
            <input
              key={kind.value}
              name="name"
              defaultValue={kind.value === 'user' ? 'alice' : 'news'}
              required
              maxLength={256}
              {...PLAIN}
            />
          </label>
        )}
        <label class="field inline named">
          <span>{t('send.event')}</span>
          <input name="event" class="mono" defaultValue="message" required {...PLAIN} />
        </label>
        {!isSheet && <span class="grow" />}
        {!isSheet && <More />}
      </div>
      <div class="composer-line">
        <label class="field data">
          <span class="unseen">{t('send.data')}</span>
          <textarea
            name="data"
            class="mono"
            rows={isSheet ? 4 : 2}
            spellcheck={false}
            value={data.value}
            aria-describedby={`${id}-kind`}
            onInput={(event) => (data.value = event.currentTarget.value)}
            onKeyDown={(event) => {
              if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) form.current?.requestSubmit()
            }}
          />
          <span class="data-kind soft" id={`${id}-kind`}>
            {t(`send.kind.${formatOf(data.value)}`)}
          </span>
        </label>
        {!isSheet && <SendButton />}
      </div>
      {isSheet && <More />}
      <SendResult />
      {isSheet && <SendButton />}
    </form>
  )
}

function SendButton() {
  return (
    <button type="submit" class="primary send" aria-keyshortcuts="Control+Enter">
      <Icon name="send" />
      {t('send.send')}
    </button>
  )
}

function More() {
  return (
    <details class="more">
      <summary>{t('send.more')}</summary>
      <div class="more-fields">
        <label class="field">
          <span>{t('send.ttl')}</span>
          <input name="ttl" type="number" min="1" step="1" inputMode="numeric" placeholder="60000" />
        </label>
        <label class="field">
          <span>{t('send.collapseKey')}</span>
          <input name="collapseKey" placeholder="order-42" {...PLAIN} />
        </label>
        {(['transient', 'inbox', 'final'] as const).map((name) => (
          <label class="check" key={name}>
            <input type="checkbox" name={name} />
            <span>{t(`send.${name}`)}</span>
          </label>
        ))}
      </div>
    </details>
  )
}

function targetOf(kind: (typeof KINDS)[number], name: string): Target {
  return kind === 'everyone' ? { kind } : { kind, name: name.trim() }
}

/** The data goes out as it was typed: a number is not read as a number here. */
function draftOf(fields: FormData): Draft {
  const text = (name: string) => String(fields.get(name) ?? '').trim()
  return {
    event: text('event'),
    data: String(fields.get('data')).replaceAll('\r\n', '\n'),
    ...(text('ttl') && { ttl: Number(text('ttl')) }),
    ...(text('collapseKey') && { collapseKey: text('collapseKey') }),
    ...(fields.has('transient') && { transient: true }),
    ...(fields.has('inbox') && { inbox: true }),
    ...(fields.has('final') && { final: true })
  }
}

export function SendDialog() {
  if (!sendDialog.value) return null
  const close = () => {
    sendDialog.value = false
    if (sending.value?.outcome.kind === 'accepted') sending.value = undefined
  }
  return (
    <Dialog title={t('send.title')} onClose={close}>
      <Composer isSheet />
    </Dialog>
  )
}
