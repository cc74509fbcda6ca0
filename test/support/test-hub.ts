import type { Test } from 'tap'
import { Hub } from '../../services/hub/hub.ts'
import type { HubOptions } from '../../services/hub/options.ts'
import type { EventStream } from '../../services/streams/event-stream.ts'
import type { StreamRequest } from '../../services/streams/stream-request.ts'
import { FakeClock } from './fake-clock.ts'
import { FakeSink } from './fake-sink.ts'

/** A log line of a hub, with the message of its error. */
export interface Logged {
  readonly level: 'error' | 'warn'
  readonly message: string
  readonly cause: string | undefined
}

export interface TestHub {
  readonly hub: Hub
  readonly clock: FakeClock
  readonly logged: Logged[]
  /** Opens a stream, for `alice` by default. */
  open(opening?: Partial<StreamRequest>, sink?: FakeSink): { stream: EventStream; sink: FakeSink }
  /** The same as over HTTP: once the events of the stream come to this node. */
  openPrepared(opening?: Partial<StreamRequest>): Promise<{ stream: EventStream; sink: FakeSink }>
}

/** A running hub, on a fake clock. */
export async function startHub(t: Test, options: HubOptions & { clock?: FakeClock } = {}): Promise<TestHub> {
  const { clock = new FakeClock() } = options
  const logged: Logged[] = []
  const hub = new Hub(
    { ...options, clock },
    {
      error: (details, message) => logged.push({ level: 'error', message, cause: causeOf(details) }),
      warn: (details, message) => logged.push({ level: 'warn', message, cause: causeOf(details) })
    }
  )
  t.teardown(() => hub.dispose())
  await hub.start()
  const open = (opening: Partial<StreamRequest> = {}, sink = new FakeSink()) => ({
    stream: hub.open(sink, { user: 'alice', ...opening }),
    sink
  })
  const openPrepared = async (opening: Partial<StreamRequest> = {}) => {
    const request = { user: 'alice', ...opening }
    await hub.manager.prepare(request)
    const sink = new FakeSink()
    return { stream: hub.manager.open(sink, request, true), sink }
  }
  return { hub, clock, logged, open, openPrepared }
}

function causeOf(details: object): string | undefined {
  return 'err' in details && details.err instanceof Error ? details.err.message : undefined
}
