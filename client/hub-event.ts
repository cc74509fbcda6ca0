import type { Frame } from './frame-parser.ts'

/** An event of the hub, as handlers receive it. */
export class HubEvent<Data = unknown, Name extends string = string> {
  readonly name: Name
  /** Undefined for a transient event, which is not part of history. */
  readonly id: string | undefined
  /** The data exactly as it was published. */
  readonly text: string
  /** Whether the event is history that the stream missed. */
  readonly isReplayed: boolean
  readonly #parse: (text: string, name: string) => unknown
  #data: { readonly value: unknown } | undefined

  constructor({ event, id, data }: Frame, isReplayed: boolean, parse: (text: string, name: string) => unknown) {
    this.name = event as Name
    this.id = id || undefined
    this.text = data ?? ''
    this.isReplayed = isReplayed
    this.#parse = parse
  }

  /** The data as JSON, or the text where it is not JSON. */
  get data(): Data {
    this.#data ??= { value: this.#parse(this.text, this.name) }
    return this.#data.value as Data
  }
}

export function jsonOrText(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
