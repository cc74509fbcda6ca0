import { may } from '../hub/health.ts'
import { type Finding, findings, nextStep, restartTour, run, running, STEPS, type Step } from '../hub/tour.ts'
import { keyDialogIsOpen } from '../state/credentials.ts'
import { learn } from '../state/preferences.ts'
import { type TextKey, t, textOf } from '../texts/texts.ts'
import { Icon, IconButton } from '../ui/icon.tsx'

/** The five steps that show what the hub promises, on real streams. The next one is highlighted. */
export function Learn() {
  if (learn.value !== 'shown') return null
  const next = nextStep()
  const shown = running.value ?? next
  const last = lastDone(next)
  const isAllowed = may('publish') && may('close')
  return (
    <section class="learn" aria-labelledby="learn-title">
      <header>
        <h2 id="learn-title">{t('learn.title')}</h2>
        <IconButton icon="close" label={t('learn.dismiss')} onClick={() => (learn.value = 'hidden')} />
      </header>
      <ol class="steps">
        {STEPS.map((step, index) => (
          <li key={step} data-progress={progressOf(step, next)} aria-current={step === shown ? 'step' : undefined}>
            <StepButton step={step} number={index + 1} isNext={step === next} />
          </li>
        ))}
      </ol>
      <div class="learn-text">
        <div aria-live="polite">
          {last !== undefined && <Result of={last} />}
          {shown === undefined ? (
            <p>
              {t('learn.over')}{' '}
              <button type="button" class="link" onClick={restartTour}>
                {t('learn.again')}
              </button>
            </p>
          ) : (
            <p class="learn-next">{t(isAllowed ? `learn.${shown}.about` : 'learn.locked')}</p>
          )}
        </div>
        {shown !== undefined && !isAllowed && (
          <button type="button" class="primary" onClick={() => (keyDialogIsOpen.value = true)}>
            {t('key.title')}
          </button>
        )}
        {shown !== undefined && isAllowed && (
          <button
            type="button"
            class="primary"
            disabled={running.value !== undefined}
            onClick={() => run(shown)}
            data-testid="learn-go"
          >
            {t(running.value ? 'learn.running' : `learn.${shown}.action`)}
          </button>
        )}
      </div>
    </section>
  )
}

function StepButton({ step, number, isNext }: { step: Step; number: number; isNext: boolean }) {
  const finding = findings.value[step]
  const isDone = finding?.isGood === true
  return (
    <button
      type="button"
      class="step"
      disabled={running.value !== undefined || !may('publish') || !may('close')}
      onClick={() => run(step)}
      data-next={isNext || undefined}
    >
      <span class="step-mark" aria-hidden="true">
        {isDone ? <Icon name="check" /> : finding ? '!' : number}
      </span>
      {t(`learn.${step}` as TextKey)}
      {isDone && <span class="unseen"> {t('learn.done')}</span>}
    </button>
  )
}

function Result({ of }: { of: Finding }) {
  const { text, params, isGood } = of
  const reason =
    params.reason === undefined ? {} : { reason: textOf(`closed.${params.reason}`, {}, String(params.reason)) }
  return (
    <p class="learn-result" data-tone={isGood ? 'good' : 'bad'}>
      {textOf(text, { ...params, ...reason })}
    </p>
  )
}

function progressOf(step: Step, next: Step | undefined): string {
  if (running.value === step) return 'running'
  const finding = findings.value[step]
  if (finding !== undefined) return finding.isGood ? 'done' : 'failed'
  return step === next ? 'next' : 'todo'
}

function lastDone(next: Step | undefined): Finding | undefined {
  const end = next === undefined ? STEPS.length : STEPS.indexOf(next)
  const step = STEPS[end - 1]
  return step && running.value === undefined ? findings.value[step] : undefined
}
