import type { AnyEvent, HubStream } from './hub-stream.ts'

/**
 * Iterates the events of a stream. At most one event waits, and the stream reads no further before the consumer asks for the
 * next one: then the event counts as handled.
 */
export async function* iterate<Events extends object>(stream: HubStream<Events>): AsyncGenerator<AnyEvent<Events>> {
  let waiting: AnyEvent<Events> | undefined
  let wake = (): void => undefined
  let handled = wake
  const removes = [
    stream.on('*', (event) => {
      waiting = event
      wake()
      return new Promise<void>((resolve) => {
        handled = resolve
      })
    }),
    stream.on('close', () => wake())
  ]
  try {
    for (;;) {
      if (waiting) {
        const event = waiting
        waiting = undefined
        yield event
        handled()
      } else if (stream.state.name !== 'closed') {
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      } else if (stream.state.error) throw stream.state.error
      else return
    }
  } finally {
    for (const remove of removes) remove()
    handled()
  }
}
