import { networkInterfaces } from 'node:os'
import fc from 'fast-check'
import t from 'tap'
import { isLoopback, networkOf } from '../../services/network-address.ts'
import { survives } from '../support/fuzz.ts'

t.test('ten spellings of one IPv6 address are one network', async (t) => {
  const spellings = [
    ...[
      '2001:db8::1',
      '2001:DB8::1',
      '2001:db8:0::1',
      '2001:db8:0:0:0:0:0:1',
      '2001:0db8:0000:0000:0000:0000:0000:0001'
    ],
    ...['2001:db8::0:1', '2001:0DB8:0::0001', '2001:db8:0:0::1', '[2001:db8::1]', '[2001:db8::1]:443'],
    ...['2001:db8::0.0.0.1', '2001:db8::1%eth0']
  ]
  for (const spelling of spellings) t.equal(networkOf(spelling), '2001:db8:0:0::/64', spelling)
})

t.test('all addresses of a /64 are one network, and those of the next are another', async (t) => {
  t.equal(networkOf('2001:db8:1:2:ffff:ffff:ffff:ffff'), networkOf('2001:db8:1:2::'))
  t.not(networkOf('2001:db8:1:3::1'), networkOf('2001:db8:1:2::1'))
  t.not(networkOf('2001:db8::1:0:0:0:1'), networkOf('2001:db8::1'))
})

t.test('an IPv4 address is its own network, in every mapping into IPv6', async (t) => {
  for (const spelling of [
    '192.0.2.7',
    '::ffff:192.0.2.7',
    '::FFFF:c000:207',
    '0:0:0:0:0:ffff:192.0.2.7',
    '192.0.2.7:81'
  ])
    t.equal(networkOf(spelling), '192.0.2.7', spelling)
  t.not(networkOf('192.0.2.8'), networkOf('192.0.2.7'))
})

t.test('text that is not an address stays bounded and throws nothing', async (t) => {
  t.equal(networkOf('Unknown'), 'unknown')
  t.equal(networkOf(''), '')
  await survives(t, fc.oneof(fc.string({ unit: 'binary', maxLength: 300 }), fc.ipV6()), 500, async (text) => {
    if (networkOf(text).length > 64) throw new Error('too long')
    if (networkOf(networkOf(text).replace('/64', '')) !== networkOf(text))
      throw new Error('another spelling is another network')
  })
})

t.test('addresses of this machine are recognised', async (t) => {
  for (const address of ['127.0.0.1', '127.8.9.1', '::1', '::ffff:127.0.0.1'])
    t.ok(isLoopback(networkOf(address)), address)
  for (const address of ['128.0.0.1', '2001:db8::1', 'fe80::1', '']) t.notOk(isLoopback(networkOf(address)), address)
  t.ok(networkInterfaces().lo === undefined || isLoopback(networkOf(networkInterfaces().lo![0]!.address)))
})
