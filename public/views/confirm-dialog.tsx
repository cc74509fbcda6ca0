import { useState } from 'preact/hooks'
import { type Question, question } from '../state/dialogs.ts'
import { problemText, t } from '../texts/texts.ts'
import { Dialog } from '../ui/dialog.tsx'
import { Problem } from '../ui/parts.tsx'

export function ConfirmDialog() {
  return question.value ? <OpenConfirm of={question.value} /> : null
}

function OpenConfirm({ of }: { of: Question }) {
  const [problem, setProblem] = useState('')
  const close = () => (question.value = undefined)
  const run = async () => {
    try {
      await of.run()
      close()
    } catch (error) {
      setProblem(problemText(error))
    }
  }
  return (
    <Dialog title={of.title} onClose={close}>
      <p>{of.text}</p>
      {problem && <Problem text={problem} />}
      <footer class="form-end">
        <button type="button" onClick={close}>
          {t('cancel')}
        </button>
        <button type="button" class="danger" onClick={run}>
          {of.action}
        </button>
      </footer>
    </Dialog>
  )
}
