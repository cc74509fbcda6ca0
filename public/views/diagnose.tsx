import { useEffect, useState } from 'preact/hooks'
import type { Check } from '../hub/check.ts'
import { runChecks } from '../hub/checks.ts'
import { t, textOf } from '../texts/texts.ts'
import { Icon } from '../ui/icon.tsx'
import { Status } from '../ui/parts.tsx'
import { ViewHead } from './shell.tsx'

/** The way between this page and the hub. */
export function Diagnose() {
  const [checks, setChecks] = useState<readonly Check[]>([])
  const [turn, setTurn] = useState(0)
  const [isRunning, setRunning] = useState(true)
  useEffect(() => {
    let isOver = false
    setChecks([])
    setRunning(true)
    const run = async () => {
      for await (const check of runChecks()) {
        if (isOver) return
        setChecks((before) => [...before, check])
      }
      if (!isOver) setRunning(false)
    }
    void run()
    return () => {
      isOver = true
    }
  }, [turn])
  return (
    <div class="view">
      <ViewHead title={t('diagnose.title')} about={t('diagnose.about')}>
        <button type="button" disabled={isRunning} onClick={() => setTurn(turn + 1)}>
          <Icon name="again" />
          {t('diagnose.again')}
        </button>
      </ViewHead>
      <ul class="checks" aria-live="polite" aria-busy={isRunning}>
        {checks.map(({ name, tone, finding, params }) => (
          <li key={name}>
            <Status tone={tone}>{t(`check.${name}`)}</Status>
            <p>{textOf(`check.${name}.${finding}`, params)}</p>
          </li>
        ))}
      </ul>
      {isRunning && <p class="soft">{t('asking')}</p>}
    </div>
  )
}
