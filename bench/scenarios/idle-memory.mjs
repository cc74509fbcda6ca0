import { startLoad, startServer } from '../lib/processes.mjs'

/** How much the resident memory of a server grows for each stream that is open and silent; after a settling time and a gc. */
export async function idleMemory(server, { streams, settle = 3_000 }) {
  const hub = await startServer(server, { BENCH_HEARTBEAT: '600000' })
  const load = await startLoad()
  try {
    // The first streams pay for code and buffers that all others share.
    await load.ask({ call: 'open', port: hub.port, count: 200, path: '/events?user=w#' })
    await new Promise((resolve) => setTimeout(resolve, 1_000))
    await hub.reset()
    const before = await hub.usage()
    const { took } = await load.ask({ call: 'open', port: hub.port, count: streams, from: 200, path: '/events?user=u#' })
    await new Promise((resolve) => setTimeout(resolve, settle))
    await hub.reset()
    const after = await hub.usage()
    return {
      kilobytes: (after.rss - before.rss) / streams / 1024,
      heap: (after.heap - before.heap) / streams / 1024,
      connects: Math.round((streams / took) * 1000),
      connectCpu: (after.cpu - before.cpu) / streams
    }
  } finally {
    await Promise.all([hub.stop(), load.stop()])
  }
}
