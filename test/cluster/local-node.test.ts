import fc from 'fast-check'
import t from 'tap'
import { NodeStreams } from '../../services/cluster/local-node.ts'
import { compareNames } from '../../services/events/utf8-order.ts'
import { settle } from '../support/fake-sink.ts'
import { startHub } from '../support/test-hub.ts'

const seed = Number(process.env.TEST_SEED ?? Date.now() % 2 ** 31)
t.comment(`TEST_SEED=${seed}`)

const LOGGER = { error: () => {}, warn: () => {} }
const TOPICS = { execute: async () => 0 }
const WATCHER = { drainGrace: 0, isWatching: false, report: () => {} }

t.test('a late command spares streams that were opened after it was given', async (t) => {
  const { hub, clock, open } = await startHub(t)
  const node = new NodeStreams(hub.manager.registry, hub.options, LOGGER, WATCHER, TOPICS)
  const before = open()
  clock.advance(5_000)
  const after = open()
  await settle()
  clock.advance(5_000)
  t.equal(node.close({ of: { user: 'alice' }, reason: 'kicked' }, 7_000), 1)
  t.same([before.sink.isEnded, after.sink.isEnded], [true, false])
  t.equal(node.close({ of: { user: 'alice' }, reason: 'kicked' }, 10_000), 0)
  t.equal(node.close({ of: { user: 'alice' }, reason: 'kicked' }, 5_000), 1)
})

t.test('a fresh command applies to all open streams, though the clock was set back meanwhile', async (t) => {
  const { hub, clock, open } = await startHub(t)
  const node = new NodeStreams(hub.manager.registry, hub.options, LOGGER, WATCHER, TOPICS)
  const { sink } = open()
  await settle()
  clock.wall -= 3_600_000
  t.equal(node.close({ of: { user: 'alice' }, reason: 'kicked' }, 20), 1)
  t.equal(sink.isEnded, true)
})

t.test('streams are closed by their ids, if they exist', async (t) => {
  const { hub, open } = await startHub(t)
  const node = new NodeStreams(hub.manager.registry, hub.options, LOGGER, WATCHER, TOPICS)
  const [one, two, three] = [open(), open({ user: 'bob' }), open()]
  await settle()
  const streams = [one.stream.id, 'none', two.stream.id, one.stream.id]
  t.equal(node.close({ of: { streams }, reason: 'kicked', reconnect: true }), 2)
  t.match(one.sink.events.at(-1), { event: 'hub.close', data: '{"reason":"kicked","reconnect":true}' })
  t.equal(three.sink.isEnded, false)
})

t.test('only a limit that replaces closes the oldest stream', async (t) => {
  for (const [options, expected] of [
    [{ maxStreamsPerUser: 7 }, 7],
    [{ maxStreamsPerUser: 7, onUserLimit: 'reject' }, 0],
    [{ maxStreamsPerUser: 0 }, 0]
  ] as const) {
    const { hub } = await startHub(t, options)
    t.equal(new NodeStreams(hub.manager.registry, hub.options, LOGGER, WATCHER, TOPICS).replaceAbove, expected)
  }
})

t.test('names are in the order of their bytes', async (t) => {
  const name = fc.string({ unit: fc.constantFrom('a', 'b', 'é', '\ud7ff', '\ue000', '\uffff', '😀', '\u{10ffff}') })
  const property = fc.property(name, name, (one, other) => {
    return Math.sign(compareNames(one, other)) === Buffer.compare(Buffer.from(one), Buffer.from(other))
  })
  const result = fc.check(property, { seed, numRuns: 5_000 })
  t.notOk(result.failed, fc.defaultReportMessage(result) ?? `holds for ${result.numRuns} inputs`)
})
