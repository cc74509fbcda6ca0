import { Agent as HttpAgent, request } from 'node:http'
import { Agent as HttpsAgent, request as requestTls } from 'node:https'

/** Pause before a retry, in milliseconds. */
const PAUSE = 20

export interface Answer {
  readonly status: number
  readonly body: string
}

/** One call with its whole answer. Rejects if the connection is lost before that. */
export function post(
  url: string,
  body: string,
  { ca, agent, headers = {} }: { ca?: string | undefined; agent?: HttpAgent; headers?: Record<string, string> } = {}
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const options = { method: 'POST', agent, headers: { 'content-type': 'application/json', ...headers } }
    const outgoing = url.startsWith('https:') ? requestTls(url, { ...options, ca }) : request(url, options)
    outgoing.on('error', reject)
    outgoing.on('response', (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (chunk) => {
        text += chunk
      })
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: text }))
      response.on('error', reject)
      response.on('close', () => reject(new Error('the answer broke off')))
    })
    outgoing.end(body)
  })
}

/**
 * Publishes number after number to one user, each with an idempotency key, and retries each until it is accepted. This
 * is how a publisher gets every event delivered exactly once, in spite of any failure.
 */
export class SteadyPublisher {
  readonly user: string
  /** Number of accepted events. */
  accepted = 0
  /** Number of retries. */
  retries = 0
  readonly #base: string
  readonly #ca: string | undefined
  readonly #agent: HttpAgent
  readonly #run: Promise<void>
  #isStopped = false
  readonly #wakers = new Set<() => void>()

  constructor(base: string, user: string, ca?: string) {
    this.#base = base
    this.user = user
    this.#ca = ca
    this.#agent = base.startsWith('https:') ? new HttpsAgent({ keepAlive: true }) : new HttpAgent({ keepAlive: true })
    this.#run = this.#publish()
  }

  /** Resolves when `count` events were accepted. */
  async reached(count: number): Promise<void> {
    while (this.accepted < count) {
      await Promise.race([new Promise<void>((resolve) => this.#wakers.add(resolve)), this.#run])
    }
  }

  /** Waits for the event under way, and stops publishing. */
  async stop(): Promise<void> {
    this.#isStopped = true
    await this.#run
    this.#agent.destroy()
  }

  async #publish(): Promise<void> {
    while (!this.#isStopped) {
      await this.#insist(this.accepted)
      this.accepted++
      for (const wake of this.#wakers) wake()
      this.#wakers.clear()
    }
  }

  async #insist(number: number): Promise<void> {
    const headers = { 'idempotency-key': `${this.user}-${number}` }
    for (;;) {
      const answer = await post(`${this.#base}/users/${this.user}/events`, JSON.stringify({ data: number }), {
        ca: this.#ca,
        agent: this.#agent,
        headers
      }).catch(() => undefined)
      if (answer?.status === 202) return
      // An error that is not temporary is a fault of the test.
      if (answer !== undefined && answer.status < 500) throw new Error(`${answer.status} ${answer.body}`)
      this.retries++
      await new Promise((resolve) => setTimeout(resolve, PAUSE))
    }
  }
}
