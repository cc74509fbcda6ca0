import t from 'tap'
import { CLOSE_REASONS, CLOSED_FOR_GOOD } from '../../services/events/close-reason.ts'
import { formatCursor, isEnded, parseCursor } from '../../services/events/cursor.ts'
import {
  finalCloseFrame,
  gapFrame,
  heartbeatFrame,
  retryableCloseFrame,
  welcomeFrame
} from '../../services/events/hub-frames.ts'
import { type Dispatched, StrictParser } from '../support/strict-parser.ts'

const CURSOR = { seq: 71, witness: 'abcdefgh123456' }
const ID = '1z.abcdefgh123456'

/** The one event in a frame, which ends with a blank line. */
function read(frame: string): Dispatched & { reconnectionTime: number | undefined } {
  const parser = new StrictParser()
  const [event, another] = parser.feed(Buffer.from(frame))
  if (event === undefined || another !== undefined || !parser.isAtBoundary) throw new Error(`not one event: ${frame}`)
  return { ...event, reconnectionTime: parser.reconnectionTime }
}

t.test('the welcome carries its data, and the id of the cursor if there is one', async (t) => {
  const welcome = {
    stream: 's1',
    user: 'a"\r\n☃',
    topics: ['news'],
    online: { users: 1, streams: 2 },
    heartbeatInterval: 15_000,
    resumed: true,
    replayed: 3
  }
  const { event, data, id, reconnectionTime } = read(welcomeFrame(welcome, 1_234, CURSOR))
  t.equal(reconnectionTime, 1_234)
  t.equal(event, 'hub.welcome')
  t.equal(id, ID)
  t.strictSame(JSON.parse(data), welcome)
  t.equal(read(welcomeFrame({ ...welcome, user: null }, 1_234, undefined)).id, undefined)
})

t.test('a gap report carries the cursor of the client, the oldest remaining event, and the reason', async (t) => {
  const gap = read(gapFrame({ from: CURSOR, oldest: '20.x', reason: 'evicted' }, undefined))
  t.equal(gap.event, 'hub.gap')
  t.equal(gap.id, undefined)
  t.strictSame(JSON.parse(gap.data), { from: ID, oldest: '20.x', reason: 'evicted' })
  const nothingLeft = read(gapFrame({ from: undefined, oldest: null, reason: 'unknown' }, CURSOR))
  t.equal(nothingLeft.id, ID)
  t.strictSame(JSON.parse(nothingLeft.data), { from: null, oldest: null, reason: 'unknown' })
})

t.test('a heartbeat is an event without data, that every client dispatches', async (t) => {
  const { event, data, id } = read(heartbeatFrame(CURSOR))
  t.strictSame([event, data, id], ['hub.heartbeat', '', ID])
  t.equal(read(heartbeatFrame(undefined)).id, undefined)
})

t.test('a client that should return gets a reconnection time, and keeps its cursor', async (t) => {
  for (const reason of CLOSE_REASONS) {
    const { event, data, id, reconnectionTime } = read(retryableCloseFrame(reason, 1_234))
    t.equal(event, 'hub.close')
    t.strictSame(JSON.parse(data), { reason, reconnect: true })
    t.equal(id, undefined)
    t.equal(reconnectionTime, 1_234)
  }
})

t.test('a client that should not return gets an id that says so', async (t) => {
  for (const reason of CLOSE_REASONS) {
    for (const cursor of [CURSOR, undefined]) {
      const { event, data, lastEventId, reconnectionTime } = read(finalCloseFrame(reason, cursor))
      t.equal(event, 'hub.close')
      t.strictSame(JSON.parse(data), { reason, reconnect: false })
      t.ok(isEnded(lastEventId))
      t.equal(parseCursor(lastEventId), undefined)
      t.equal(reconnectionTime, undefined)
    }
  }
  t.ok(read(finalCloseFrame('kicked', CURSOR)).lastEventId.startsWith(formatCursor(CURSOR)))
})

t.test('streams close for good at the request of the user or host, and never for a transient reason', async (t) => {
  t.strictSame([...CLOSED_FOR_GOOD].sort(), ['failed', 'finished', 'kicked', 'replaced'])
  t.ok([...CLOSED_FOR_GOOD].every((reason) => CLOSE_REASONS.includes(reason)))
  t.equal(new Set(CLOSE_REASONS).size, 10)
})
