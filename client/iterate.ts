import type { AnyEvent, HubStream } from './hub-stream.ts'

/**
 * Iterates the events of a stream. At most one event waits, and the stream reads no further before the consumer asks for the
 * next one: then the event counts as handled.
 */
export async function* iterate<Events extends object>(stream: HubStream<Events>): AsyncGenerator<AnyEvent<Events>> {
  let waiting: AnyEvent<Events> | undefined
  let wake: (() => void) | undefined
  let handled: (() => void) | undefined
  const stopTaking = stream.on(
    '*',
    (event) =>
      new Promise<void>((resolve) => {
        waiting = event
        handled = resolve
        wake?.()
      })
  )
  const stopWaiting = stream.on('close', () => wake?.())
  try {
    while (waiting || stream.state.name !== 'closed') {
      const event = waiting
      waiting = undefined
      if (event) {
        yield event
        handled?.()
      } else
        await new Promise<void>((resolve) => {
          wake = resolve
        })
    }
    if (stream.state.error) throw stream.state.error
  } finally {
    stopTaking()
    stopWaiting()
    handled?.()
  }
}
