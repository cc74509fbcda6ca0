import t from 'tap'
import { buildHub, failOnWarnings } from '../../support/build.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { FRAME, Http2Frames, SETTING } from '../../support/http2-frames.ts'
import { selfSigned } from '../../support/self-signed.ts'

failOnWarnings(t)

const { key, cert } = selfSigned()
const server = { http2: true, https: { key, cert, allowHTTP1: true } }
const STALL_TIMEOUT = 5_000

t.test('a subscriber over HTTP/2 that opens no window is closed as slow, and one that does is not', async (t) => {
  const clock = new FakeClock()
  const host = await buildHub(t, { server, hub: { clock, stallTimeout: STALL_TIMEOUT, heartbeatInterval: 0 } })
  await host.listen()
  const stuck = await Http2Frames.open(host.port, [[SETTING.initialWindowSize, 0]])
  const open = await Http2Frames.open(host.port)
  for (const [user, client] of Object.entries({ stuck, open })) {
    client.request(1, 'GET', `/events?user=${user}`)
    await client.frame(FRAME.headers, 1)
  }
  await host.untilOpened(2)
  for (let count = 0; count < 3; count++) await host.app.sse.broadcast({ data: 'x'.repeat(20_000) })
  // More than Node keeps for a stream before it reports backpressure: 16 KiB, and 64 KiB since version 22.
  for (let count = 0; count < 3; count++) await host.app.sse.send('stuck', { data: 'x'.repeat(20_000) })
  await open.until(() => bytesOf(open) > 60_000, 'three events')
  for (let passed = 0; passed < 2 * STALL_TIMEOUT; passed += 500) {
    clock.advance(500)
    await new Promise((resolve) => setImmediate(resolve))
  }
  await host.untilClosed(1)
  t.same(host.closed, ['slow'])
  t.equal(host.open, 1)
  t.same(host.errors, [])
})

function bytesOf({ frames }: Http2Frames): number {
  return frames.reduce((sum, { type, payload }) => sum + (type === FRAME.data ? payload.length : 0), 0)
}
