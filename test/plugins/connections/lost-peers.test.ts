import { join } from 'node:path'
import t, { type Test } from 'tap'
import { LostPeers } from '../../../plugins/connections/lost-peers.ts'
import { type Retransmission, retransmissions } from '../../../plugins/connections/retransmissions.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { settle } from '../../support/fake-sink.ts'

const HEAD = '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode'

async function all(lists: readonly string[]): Promise<Retransmission[]> {
  const found: Retransmission[] = []
  for await (const connection of retransmissions(lists)) found.push(connection)
  return found
}

t.test('only established connections that send the same bytes again are read from the lists', async (t) => {
  const folder = t.testdir({
    tcp: [
      HEAD,
      '   0: 00000000:07E8 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1287 1 0 100 0 0 10 0  ',
      '   1: 0100000A:0BB8 0200000A:D431 01 00000012:00000000 01:00000B3C 00000005  1000        0 4711 2 0 25600 4 0 1 7',
      '   2: 0100000A:0BB8 0300000A:D432 01 00000012:00000000 01:00000014 00000000  1000        0 4712 2 0 20 4 0 10 -1 ',
      '   3: 0100000A:0BB8 0400000A:D433 01 00000012:00000000 04:00000014 00000003  1000        0 4713 2 0 20 4 0 10 -1 ',
      '   4: 0100000A:0BB8 0500000A:D434 04 00000012:00000000 01:00000014 00000003  1000        0 4714 2 0 20 4 0 10 -1 ',
      ''
    ].join('\n'),
    tcp6: [
      HEAD,
      '   0: 0000000000000000FFFF00000100000A:0BB8 0000000000000000FFFF00000200000A:D435 01 00000012:00000000 01:00000B3C 00000001  1000        0 4715 2 0 25600 4 0 1 7',
      '   1: B80D0120000000000000000001000000:0BB8 B80D0120000000000000000002000000:D436 01 00000012:00000000 01:00000B3C 0000000A  1000        0 4716 2 0 25600 4 0 1 7',
      ''
    ].join('\n')
  })
  t.same(await all([join(folder, 'tcp'), join(folder, 'tcp6')]), [
    { localPort: 3_000, remoteAddress: '10.0.0.2', remotePort: 54_321, count: 5 },
    { localPort: 3_000, remoteAddress: '::ffff:10.0.0.2', remotePort: 54_325, count: 1 },
    { localPort: 3_000, remoteAddress: '2001:db8::2', remotePort: 54_326, count: 10 }
  ])
  t.equal((await all([join(folder, 'tcp'), join(folder, 'missing')])).length, 1, 'a kernel without IPv6')
  await t.rejects(all([join(folder, 'missing')]), { code: 'ENOENT' })
})

/** Looks for lost peers among three connections, on a fake clock and with a list of the test's own. */
function start(t: Test, { timeout = 30_000, fails = false } = {}) {
  const clock = new FakeClock()
  const cut: number[] = []
  const counts = new Map<number, number>()
  let reads = 0
  const slow = { milliseconds: 0 }
  const open = [1, 2, 3].map((remotePort) => ({
    localPort: 3_000,
    remoteAddress: remotePort === 3 ? 'fe80::1%eth0' : '10.0.0.2',
    remotePort,
    destroy: () => cut.push(remotePort)
  }))
  const peers = new LostPeers({
    clock,
    timeout,
    streams: () => open.filter(({ remotePort }) => !cut.includes(remotePort)).map((connection) => ({ connection })),
    async *read() {
      reads++
      await null
      clock.advance(slow.milliseconds)
      if (fails) throw Object.assign(new Error('no such file'), { code: 'ENOENT' })
      for (const [remotePort, count] of counts) {
        const remoteAddress = remotePort === 3 ? 'fe80::1' : '10.0.0.2'
        yield { localPort: 3_000, remoteAddress, remotePort, count }
      }
    }
  })
  t.teardown(() => peers.stop())
  peers.watch()
  const pass = async (milliseconds: number) => {
    for (let passed = 0; passed < milliseconds; passed += 1_000) {
      clock.advance(1_000)
      await settle()
    }
  }
  return { peers, clock, slow, cut, counts, open, pass, reads: () => reads }
}

t.test('a peer that acknowledges nothing for the timeout is cut, and no other', async (t) => {
  const { peers, cut, counts, pass } = start(t)
  counts.set(1, 4).set(3, 2)
  await pass(44_000)
  t.same(cut, [])
  await pass(1_000)
  t.same(cut, [1, 3])
  t.equal(peers.cut, 2)
  await pass(60_000)
  t.same(cut, [1, 3])
})

t.test('a peer that acknowledges something begins anew', async (t) => {
  const { cut, counts, pass } = start(t)
  counts.set(1, 5)
  await pass(30_000)
  counts.delete(1)
  await pass(15_000)
  counts.set(1, 2)
  await pass(30_000)
  t.same(cut, [], 'a pause without retransmissions')
  counts.set(1, 1)
  await pass(30_000)
  t.same(cut, [], 'a lower count')
  await pass(15_000)
  t.same(cut, [1])
})

t.test('a list that takes long to read is read less often', async (t) => {
  const { clock, pass, slow, reads } = start(t)
  slow.milliseconds = 600
  await pass(15_000)
  t.equal(reads(), 1)
  await pass(60_000)
  t.equal(reads(), 1)
  await pass(15_000)
  t.equal(reads(), 2)
  t.ok(clock.timers)
})

t.test('nothing is read without a stream, after a failure, or after the stop', async (t) => {
  const idle = start(t)
  idle.open.length = 0
  await idle.pass(60_000)
  t.equal(idle.reads(), 0)
  t.equal(idle.clock.timers, 0)
  const failing = start(t, { fails: true })
  await failing.pass(60_000)
  t.equal(failing.reads(), 1)
  const stopped = start(t)
  stopped.counts.set(1, 1)
  await stopped.pass(20_000)
  stopped.peers.stop()
  await stopped.pass(60_000)
  t.same(stopped.cut, [])
})
