import { signal } from '@preact/signals'
import { ApiError, closeUser, type Target } from './api.ts'
import type { EventRow } from './event-store.ts'
import type { HubStream } from './hub-stream.ts'
import { cut, stories } from './replay-story.ts'
import { publishFromHere } from './sending.ts'
import { openStream, streams, until } from './streams.ts'

export const STEPS = ['send', 'topic', 'cut', 'gap', 'close'] as const
export type Step = (typeof STEPS)[number]

/** The finding of a step: a text and its parameters. */
export interface Finding {
  readonly text: string
  readonly params: Readonly<Record<string, unknown>>
  readonly isGood: boolean
}

export const findings = signal<Partial<Record<Step, Finding>>>({})
export const running = signal<Step | undefined>(undefined)

const TOPIC = 'news'

/** The next step that was not done yet. */
export function nextStep(): Step | undefined {
  return STEPS.find((step) => findings.value[step] === undefined)
}

export function restartTour(): void {
  findings.value = {}
}

/** Runs a step on the real hub, and keeps what it has shown. */
export async function run(step: Step): Promise<void> {
  if (running.value !== undefined) return
  running.value = step
  const { [step]: _, ...others } = findings.value
  findings.value = others
  try {
    const finding = await ACTIONS[step]()
    findings.value = { ...findings.value, [step]: finding }
  } catch (error) {
    const { code, message } = error as ApiError
    const finding = { text: 'learn.failed', params: { code: code ?? 'ERROR', message }, isGood: false }
    findings.value = { ...findings.value, [step]: finding }
  } finally {
    running.value = undefined
  }
}

const ACTIONS: Record<Step, () => Promise<Finding>> = {
  async send() {
    const [alice, bob] = await bothOpen()
    const { row, latency } = await sendAndWait({ kind: 'user', name: 'alice' }, [alice])
    const isRight = row?.marks.has(alice.key) === true && !row.marks.has(bob.key)
    return { text: isRight ? 'learn.send.done' : 'learn.wrong', params: { latency }, isGood: isRight }
  },

  async topic() {
    const both = await bothOpen()
    const { row, latency } = await sendAndWait({ kind: 'topic', name: TOPIC }, both)
    const isRight = both.every(({ key }) => row?.marks.has(key))
    return { text: isRight ? 'learn.topic.done' : 'learn.wrong', params: { latency }, isGood: isRight }
  },

  async cut() {
    const [alice] = await bothOpen()
    await cut([alice])
    const story = stories.get(alice)
    if (story?.step === 'failed') throw story.problem
    const isRight = story?.step === 'exact'
    return { text: isRight ? 'learn.cut.done' : 'learn.wrong', params: { ...story }, isGood: isRight }
  },

  async gap() {
    const [alice] = await bothOpen()
    const before = alice.counts.gaps
    alice.comeBackLost()
    const isRight = await until(alice, () => alice.counts.gaps > before)
    return { text: isRight ? 'learn.gap.done' : 'learn.wrong', params: {}, isGood: isRight }
  },

  async close() {
    const [, bob] = await bothOpen()
    await closeUser('bob')
    const isRight = await until(bob, () => bob.state === 'closed')
    return { text: isRight ? 'learn.close.done' : 'learn.wrong', params: { reason: bob.reason }, isGood: isRight }
  }
}

/** The streams of alice and bob, which are opened if they are not there. Two, so that two tabs leave connections for requests. */
async function bothOpen(): Promise<[HubStream, HubStream]> {
  const both = [openOf('alice'), openOf('bob')] as [HubStream, HubStream]
  for (const stream of both) {
    await until(stream, () => (stream.state === 'open' && stream.welcome !== undefined) || stream.isOver)
    if (stream.refusal) throw new ApiError(stream.refusal.code, stream.refusal.message, 403)
    if (stream.state !== 'open') throw new ApiError('NOT_OPEN', '', 0)
  }
  return both
}

function openOf(user: string): HubStream {
  const known = streams.value.find(({ wish }) => wish.user === user && wish.topics.includes(TOPIC))
  if (known === undefined) return openStream({ user, topics: [TOPIC], begin: { kind: 'now' } })
  if (known.isOver) void known.start()
  return known
}

async function sendAndWait(target: Target, to: readonly HubStream[]) {
  const rows = new Map<string, EventRow>()
  const listen = (row: EventRow) => rows.set(row.id, row)
  for (const stream of to) stream.arrivals.add(listen)
  const began = performance.now()
  try {
    const data = target.kind === 'user' ? '{ "order": 42, "total": 19.90 }' : '{ "title": "Version 2 is out" }'
    const event = target.kind === 'user' ? 'order.shipped' : 'article.published'
    const { id } = await publishFromHere(target, { event, data })
    const arrived = () => to.every(({ key }) => rows.get(id ?? '')?.marks.has(key))
    for (const stream of to) await until(stream, arrived, 5_000)
    return { row: rows.get(id ?? ''), latency: Math.max(1, Math.round(performance.now() - began)) }
  } finally {
    for (const stream of to) stream.arrivals.delete(listen)
  }
}
