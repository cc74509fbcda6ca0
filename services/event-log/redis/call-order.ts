import { type OnMissing, RedisReplyError } from '../../redis/link.ts'

/** Sends a call. If Redis does not know the script, `onMissing` decides when the call is sent again with the script's text. */
type Send<Result> = (onMissing: OnMissing) => Promise<Result>

/** The outcome of the first attempt of a call. */
type Attempt = 'done' | 'missing' | 'failed'

class Call {
  readonly attempted: Promise<Attempt>
  readonly sent: Promise<void>
  resolveAttempt: (attempt: Attempt) => void = () => {}
  resolveSent: () => void = () => {}

  constructor() {
    this.attempted = new Promise((resolve) => {
      this.resolveAttempt = resolve
    })
    this.sent = new Promise((resolve) => {
      this.resolveSent = resolve
    })
  }
}

/**
 * Keeps calls in order while several are in flight and Redis has forgotten their script. Another node may load the script
 * between two of them: then the first has failed, and the second succeeded. The first is rejected, because it would be late.
 */
export class CallOrder {
  /** In flight, in the order in which they were sent. */
  readonly #calls = new Set<Call>()

  async run<Result>(send: Send<Result>): Promise<Result> {
    const call = new Call()
    this.#calls.add(call)
    try {
      const result = await send((send) => this.#send(call, send))
      call.resolveAttempt('done')
      return result
    } finally {
      call.resolveAttempt('failed')
      call.resolveSent()
      this.#calls.delete(call)
    }
  }

  async #send(call: Call, send: () => Promise<unknown>): Promise<unknown> {
    const calls = [...this.#calls]
    const at = calls.indexOf(call)
    call.resolveAttempt('missing')
    for (const later of calls.slice(at + 1)) {
      if ((await later.attempted) === 'done') throw new RedisReplyError('NOSCRIPT later events were appended first')
    }
    for (const earlier of calls.slice(0, at)) await earlier.sent
    const running = send()
    call.resolveSent()
    return running
  }
}
