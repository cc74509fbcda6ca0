// Compiled, not run: lines that must not compile are marked.
import type { SseHub } from '../../plugins/sse-hub.ts'

interface Events {
  'order.shipped': { id: number }
  message: string
}

export async function typed(hub: SseHub<Events>): Promise<void> {
  await hub.send('alice', { event: 'order.shipped', data: { id: 1 } })
  await hub.send(['alice', 'bob'], { data: 'the name "message" may be left out' })
  await hub.publishBatch([{ to: { users: ['alice'] }, event: 'order.shipped', data: { id: 1 }, ttl: 1_000 }])
  // @ts-expect-error the payload of another event
  await hub.publish('orders', { event: 'order.shipped', data: 'text' })
  // @ts-expect-error a name that the map does not have
  await hub.broadcast({ event: 'order.lost', data: { id: 1 } })
  // @ts-expect-error no target
  await hub.publishBatch([{ event: 'order.shipped', data: { id: 1 } }])
  // @ts-expect-error undefined is not a user
  await hub.send(undefined, { data: 'text' })
}

export async function untyped(hub: SseHub): Promise<void> {
  await hub.send('alice', { event: 'any.name', data: { any: 'payload' } })
  // @ts-expect-error an event has data
  await hub.broadcast({ event: 'any.name' })
}
