import type { ComponentChildren } from 'preact'
import { useState } from 'preact/hooks'
import type { StoredEvent } from '../hub/types.ts'
import { dateTime, t } from '../texts/texts.ts'
import { Data } from './drawer.tsx'

const PREVIEW = 200

/** Stored events; one is opened to see all of its data. */
export function EventTable(props: {
  events: readonly StoredEvent[]
  isUnread?: (event: StoredEvent) => boolean
  action?: (event: StoredEvent) => ComponentChildren
}) {
  const { events, isUnread = () => false, action } = props
  const [opened, setOpened] = useState<string>()
  return (
    <ul class="events">
      {events.map((event) => (
        <li key={event.id} data-unread={isUnread(event) || undefined}>
          <div class="event-line">
            <button
              type="button"
              class="event-button"
              aria-expanded={opened === event.id}
              onClick={() => setOpened(opened === event.id ? undefined : event.id)}
            >
              <time dateTime={event.time}>{dateTime(event.time)}</time>
              <span class="row-name">{event.event}</span>
              <span class="row-data">{event.data.slice(0, PREVIEW)}</span>
              <span class="row-id">{event.id}</span>
              {isUnread(event) && <span class="unseen">{t('inbox.isUnread')}</span>}
            </button>
            {action?.(event)}
          </div>
          {opened === event.id && <Data text={event.data} />}
        </li>
      ))}
    </ul>
  )
}
