import { API_BASE, type ApiError, publish } from './api.ts'
import { CHECK_USER, type Check } from './check.ts'
import { httpVersion, isLimited, MAX_CONNECTIONS, STREAM_SLOTS } from './connection-slots.ts'
import { clockSkew, poll, roundTrip } from './health.ts'
import { checkLimits } from './limits.ts'
import { openSource, type Source } from './source.ts'
import { streams } from './streams.ts'

/** Beyond this a proxy holds the stream back, or the line is very slow; in milliseconds. */
const BUFFERED = 1_000
const PATIENCE = 5_000
const SKEWED = 2_000

/** Looks at the way between this page and the hub, and yields each finding as it is known. */
export async function* runChecks(): AsyncGenerator<Check> {
  await poll()
  const time = roundTrip.value
  if (time === undefined) {
    yield { name: 'reach', tone: 'bad', finding: 'away', params: {} }
    return
  }
  yield { name: 'reach', tone: time > 500 ? 'wait' : 'good', finding: 'time', params: { n: Math.round(time) } }
  const isKnown = httpVersion !== ''
  yield {
    name: 'http',
    tone: isKnown ? (isLimited ? 'wait' : 'good') : 'end',
    finding: isLimited ? 'old' : isKnown ? 'new' : 'unknown',
    params: { version: httpVersion }
  }
  yield* checkStream()
  const skew = clockSkew.value
  if (skew === undefined) yield { name: 'clock', tone: 'end', finding: 'unknown', params: {} }
  else
    yield {
      name: 'clock',
      tone: Math.abs(skew) > SKEWED ? 'wait' : 'good',
      finding: Math.abs(skew) > SKEWED ? 'skewed' : 'equal',
      params: { n: Math.round(skew / 100) / 10 }
    }
  const used = streams.value.filter(({ state }) => state === 'open').length
  if (isLimited)
    yield {
      name: 'connections',
      tone: used >= STREAM_SLOTS ? 'wait' : 'good',
      finding: 'used',
      params: { used, slots: STREAM_SLOTS, max: MAX_CONNECTIONS }
    }
  else yield { name: 'connections', tone: 'good', finding: 'free', params: { used } }
  yield* checkLimits()
}

/** A stream of its own: when does its welcome arrive, and when a transient event? */
async function* checkStream(): AsyncGenerator<Check> {
  const user = `${CHECK_USER}${Math.random().toString(36).slice(2, 10)}`
  const began = performance.now()
  const probe = new Probe(user)
  try {
    const first = await probe.waitFor('hub.welcome')
    if (first === undefined) {
      const { refusal } = probe
      yield { name: 'stream', tone: 'bad', finding: refusal ? 'refused' : 'silent', params: { problem: refusal ?? '' } }
      return
    }
    const opening = Math.round(first - began)
    yield { name: 'stream', tone: opening > BUFFERED ? 'wait' : 'good', finding: 'opened', params: { n: opening } }
    const sent = performance.now()
    await publish({ kind: 'user', name: probe.user }, { event: 'console.check', data: '', transient: true })
    const arrived = await probe.waitFor('console.check')
    if (arrived === undefined) yield { name: 'buffering', tone: 'bad', finding: 'held', params: {} }
    else {
      const delay = Math.max(1, Math.round(arrived - sent))
      yield {
        name: 'buffering',
        tone: delay > BUFFERED ? 'bad' : 'good',
        finding: delay > BUFFERED ? 'slow' : 'none',
        params: { n: delay }
      }
    }
  } catch (error) {
    yield { name: 'buffering', tone: 'end', finding: 'notAllowed', params: { problem: (error as ApiError).code } }
  } finally {
    probe.close()
  }
}

class Probe {
  user: string
  refusal: string | undefined
  readonly #source: Source
  readonly #seen = new Map<string, number>()
  readonly #waiting = new Set<() => void>()

  constructor(user: string) {
    this.user = user
    const url = new URL('events', API_BASE)
    url.searchParams.set('user', user)
    this.#source = openSource({
      url,
      wish: { user, topics: [] },
      lastEventId: '',
      onFrame: ({ name, data }) => {
        if (name === 'hub.welcome') this.user = (JSON.parse(data) as { user?: string }).user ?? this.user
        this.#seen.set(name, performance.now())
        this.#wake()
      },
      onState: ({ state, reason, problem }) => {
        if (state === 'closed' && reason !== 'stopped') this.refusal = problem?.code ?? reason
        this.#wake()
      }
    })
  }

  /** When the first event of a name arrived; undefined if it does not arrive in time. */
  waitFor(name: string): Promise<number | undefined> {
    return new Promise((resolve) => {
      const check = () => {
        if (this.#seen.has(name) || this.refusal !== undefined) finish()
      }
      const finish = () => {
        clearTimeout(timer)
        this.#waiting.delete(check)
        resolve(this.#seen.get(name))
      }
      const timer = setTimeout(finish, PATIENCE)
      this.#waiting.add(check)
      check()
    })
  }

  close(): void {
    this.#source.close()
  }

  #wake(): void {
    for (const check of this.#waiting) check()
  }
}
