import type { Frame } from './frame-reader.ts'

/** An event of the hub, as handlers receive it. */
export interface HubEvent<Data = unknown, Name extends string = string> {
  readonly name: Name
  /** Undefined for a transient event, which is not part of history. */
  readonly id: string | undefined
  /** The data exactly as it was published. */
  readonly text: string
  /** The data as JSON, or the text where it is not JSON. */
  readonly data: Data
  /** Whether the event is history that the stream missed. */
  readonly isReplayed: boolean
}

/** @param parse is called when a handler first reads the data */
export function hubEvent(
  { event: name, id, data: text = '' }: Frame,
  isReplayed: boolean,
  parse: (text: string, name: string) => unknown
): HubEvent {
  let parsed: readonly [unknown] | undefined
  return {
    name,
    id: id || undefined,
    text,
    isReplayed,
    get data() {
      parsed ??= [parse(text, name)]
      return parsed[0]
    }
  }
}

export function jsonOrText(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
