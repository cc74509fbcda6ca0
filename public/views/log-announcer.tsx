import { useEffect, useState } from 'preact/hooks'
import { store } from '../hub/event-store.ts'
import { t } from '../texts/texts.ts'
import { announcement } from './closing.ts'

/** Between announcements, in milliseconds: each event by itself would never end. */
const EVERY = 5_000

/** Tells screen readers how many events came, at most every five seconds. */
export function LogAnnouncer() {
  const [text, setText] = useState('')
  useEffect(() => {
    let told = store.events
    const timer = setInterval(() => {
      const count = store.events - told
      told = store.events
      const last = store.rows.findLast((row) => row.kind === 'event')
      if (count > 0 && last?.kind === 'event') setText(t('log.announce', { n: count, name: last.name }))
    }, EVERY)
    return () => clearInterval(timer)
  }, [])
  return (
    <div class="unseen" role="status">
      {text}
    </div>
  )
}

/** Tells the result of the last action of an operator. */
export function ActionAnnouncer() {
  const { value } = announcement
  useEffect(() => {
    if (value === '') return
    const timer = setTimeout(() => (announcement.value = ''), 6_000)
    return () => clearTimeout(timer)
  }, [value])
  return (
    <div class="toast" role="status" data-shown={value !== '' || undefined}>
      {value}
    </div>
  )
}
