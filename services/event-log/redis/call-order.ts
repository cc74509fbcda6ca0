import { RedisReplyError } from '../../redis/link.ts'

type Dispatch<Result> = () => Promise<Result>
/** Sends a call. If Redis does not know the script, `onMissing` decides when the call is handed over with the script's text. */
type Send<Result> = (onMissing: (send: Dispatch<Result>) => Promise<Result>) => Promise<Result>

/** How the first attempt of a call went. */
type Attempt = 'done' | 'missing' | 'failed'

class Call {
  readonly attempted: Promise<Attempt>
  readonly dispatched: Promise<void>
  tell: (attempt: Attempt) => void = () => {}
  tellHandedOver: () => void = () => {}

  constructor() {
    this.attempted = new Promise((resolve) => {
      this.tell = resolve
    })
    this.dispatched = new Promise((resolve) => {
      this.tellHandedOver = resolve
    })
  }
}

/**
 * Keeps calls in order though several are on their way and Redis has forgotten their script. Another node may hand the script over
 * between two of them: then the first has not been done, and the second has. The first is refused, because it would come too late.
 */
export class CallOrder {
  /** On their way, in the order in which they were sent. */
  readonly #calls = new Set<Call>()

  async run<Result>(send: Send<Result>): Promise<Result> {
    const call = new Call()
    this.#calls.add(call)
    try {
      const result = await send((send) => this.#send(call, send))
      call.tell('done')
      return result
    } finally {
      call.tell('failed')
      call.tellHandedOver()
      this.#calls.delete(call)
    }
  }

  async #send<Result>(call: Call, send: Dispatch<Result>): Promise<Result> {
    const calls = [...this.#calls]
    const at = calls.indexOf(call)
    call.tell('missing')
    for (const later of calls.slice(at + 1)) {
      if ((await later.attempted) === 'done') throw new RedisReplyError('NOSCRIPT events that came later went first')
    }
    for (const earlier of calls.slice(0, at)) await earlier.dispatched
    const running = send()
    call.tellHandedOver()
    return running
  }
}
