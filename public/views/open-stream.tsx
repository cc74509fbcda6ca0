import { useState } from 'preact/hooks'
import type { Begin } from '../hub/hub-stream.ts'
import { openStream } from '../hub/streams.ts'
import { openStreamDialog } from '../state/dialogs.ts'
import { go, listOf } from '../state/route.ts'
import { t } from '../texts/texts.ts'
import { Dialog } from '../ui/dialog.tsx'

export function OpenStreamDialog() {
  const [kind, setKind] = useState<Begin['kind']>('now')
  if (!openStreamDialog.value) return null
  const close = () => (openStreamDialog.value = false)
  const submit = (event: SubmitEvent) => {
    event.preventDefault()
    const fields = new FormData(event.currentTarget as HTMLFormElement)
    const begin: Begin = kind === 'last' ? { kind, count: Number(fields.get('last')) } : { kind }
    const user = String(fields.get('user')).trim()
    openStream({ user, topics: listOf(String(fields.get('topics'))), begin })
    go({ view: 'live' })
    close()
  }
  return (
    <Dialog title={t('open.title')} onClose={close}>
      <form class="form" autocomplete="off" onSubmit={submit}>
        <label class="field">
          <span>{t('open.user')}</span>
          <input name="user" defaultValue="alice" required maxLength={256} {...PLAIN} />
        </label>
        <label class="field">
          <span>{t('open.topics')}</span>
          <input name="topics" defaultValue="news" {...PLAIN} />
        </label>
        <div class="pair">
          <label class="field">
            <span>{t('open.begin')}</span>
            <select value={kind} onChange={(event) => setKind(event.currentTarget.value as Begin['kind'])}>
              <option value="now">{t('open.begin.now')}</option>
              <option value="oldest">{t('open.begin.oldest')}</option>
              <option value="last">{t('open.begin.last')}</option>
              <option value="follow">{t('open.begin.follow')}</option>
            </select>
          </label>
          {kind === 'last' && (
            <label class="field">
              <span>{t('open.begin.count')}</span>
              <input name="last" type="number" min="1" max="1000" defaultValue="20" required inputMode="numeric" />
            </label>
          )}
        </div>
        <p class="hint">{t('open.hint')}</p>
        <footer class="form-end">
          <button type="button" onClick={close}>
            {t('cancel')}
          </button>
          <button type="submit" class="primary">
            {t('open.start')}
          </button>
        </footer>
      </form>
    </Dialog>
  )
}

/** Attributes of a field for names, which no keyboard should correct. */
export const PLAIN = { spellcheck: false, autocapitalize: 'none', autocomplete: 'off' } as const
