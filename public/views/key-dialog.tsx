import { useState } from 'preact/hooks'
import { checkCredential } from '../hub/rights.ts'
import { keyDialogIsOpen } from '../state/credentials.ts'
import { problemText, t } from '../texts/texts.ts'
import { Dialog } from '../ui/dialog.tsx'
import { Problem } from '../ui/parts.tsx'

/** Asks for a key or token. It stays in the memory of the page. */
export function KeyDialog() {
  return keyDialogIsOpen.value ? <OpenKeyDialog /> : null
}

function OpenKeyDialog() {
  const [problem, setProblem] = useState('')
  const [isChecking, setChecking] = useState(false)
  const close = () => (keyDialogIsOpen.value = false)
  const submit = async (event: SubmitEvent) => {
    event.preventDefault()
    const text = String(new FormData(event.currentTarget as HTMLFormElement).get('key')).trim()
    setChecking(true)
    setProblem('')
    try {
      await checkCredential(text)
      close()
    } catch (error) {
      setProblem(problemText(error))
    }
    setChecking(false)
  }
  return (
    <Dialog title={t('key.title')} onClose={close}>
      <form class="form" autocomplete="off" onSubmit={submit}>
        <label class="field">
          <span>{t('key.label')}</span>
          <input
            name="key"
            type="password"
            required
            maxLength={8192}
            autocomplete="off"
            spellcheck={false}
            autocapitalize="none"
            aria-describedby="key-hint"
          />
        </label>
        <p class="hint" id="key-hint">
          {t('key.hint')}
        </p>
        {problem && <Problem text={problem} />}
        <footer class="form-end">
          <button type="button" onClick={close}>
            {t('cancel')}
          </button>
          <button type="submit" class="primary" disabled={isChecking}>
            {t('key.unlock')}
          </button>
        </footer>
      </form>
    </Dialog>
  )
}
