import { signal } from '@preact/signals'
import { go, route } from '../state/route.ts'
import { HubStream, type StreamWish } from './hub-stream.ts'

/** Number of colours of streams. */
export const HUES = 8

/** The streams of this page, in the order in which they were opened. */
export const streams = signal<readonly HubStream[]>([])

let lastKey = 0

export function openStream(wish: StreamWish): HubStream {
  const stream = new HubStream(lastKey++, wish)
  streams.value = [...streams.value, stream]
  void stream.start()
  keepInUrl()
  return stream
}

export function removeStream(stream: HubStream): void {
  stream.stop()
  streams.value = streams.value.filter((other) => other !== stream)
  keepInUrl()
}

/** Opens the streams that the URL names. */
export function openStreamsOfUrl(): void {
  const wishes = route.value.streams
  for (const wish of wishes) {
    const stream = new HubStream(lastKey++, wish)
    streams.value = [...streams.value, stream]
    void stream.start()
  }
}

function keepInUrl(): void {
  go({ streams: streams.value.map(({ wish }) => wish) })
}

export const hueOf = ({ key }: HubStream) => key % HUES

/** Resolves once the condition holds for the stream, and with false if it does not within the time. */
export function until(stream: HubStream, condition: () => boolean, patience = 10_000): Promise<boolean> {
  if (condition()) return Promise.resolve(true)
  return new Promise((resolve) => {
    const check = () => {
      if (condition()) finish(true)
    }
    const finish = (answer: boolean) => {
      clearTimeout(timer)
      stream.changes.delete(check)
      stream.arrivals.delete(check)
      resolve(answer)
    }
    const timer = setTimeout(() => finish(false), patience)
    stream.changes.add(check)
    stream.arrivals.add(check)
  })
}
