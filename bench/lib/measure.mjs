import { machineCpu } from './machine.mjs'
import { sleep } from './time.mjs'

/** Time between opening streams and measuring their memory, in milliseconds. */
const SETTLING = 1_000

/**
 * Measures the server's CPU in microseconds during `work`, and the shares of a core of server, load and other processes.
 * `work` resolves to its duration in `seconds`.
 */
export async function measure(server, load, work) {
  const look = async () => [
    ...(await Promise.all([server.ask('usage'), load.ask('usage')])).map(({ cpu }) => cpu),
    machineCpu()
  ]
  const before = await look()
  const begun = performance.now()
  const done = await work()
  const took = (performance.now() - begun) * 1_000
  const [cpu, loadCpu, all] = (await look()).map((used, index) => used - before[index])
  const others = Math.max(0, all - cpu - loadCpu) / took
  return { ...done, cpu, serverShare: cpu / 1e6 / done.seconds, loadShare: loadCpu / 1e6 / done.seconds, others }
}

/** Opens streams; returns the growth of the server's resident memory for each, and the cost of opening one. */
export async function measureOpening(server, load, { count, from = 0, path = '/events?user=u#' }) {
  await server.ask('reset')
  const before = await server.ask('usage')
  const opened = await measure(server, load, () => load.ask('open', { port: server.port, count, from, path }))
  await sleep(SETTLING)
  await server.ask('reset')
  const after = await server.ask('usage')
  return {
    ...opened,
    kilobytes: (after.rss - before.rss) / count / 1024,
    heap: (after.heap - before.heap) / count / 1024
  }
}

/** A row of a table. A failure of one server is reported in its row, and does not stop the others. */
export async function attempt(server, say, work) {
  try {
    return { server, ...(await work()) }
  } catch (error) {
    say(`${server}: ${error.message}`)
    return { server, error: error.message }
  }
}

/**
 * Measures each of several servers `runs` times in turns, A B A B, so that a temporary load of the machine affects all.
 * Returns the measurements of each server.
 */
export async function inTurns(servers, runs, say, work) {
  const rows = servers.map(() => [])
  for (let run = 0; run < runs; run++) {
    for (const [index, server] of servers.entries()) rows[index].push(await attempt(server, say, () => work(server)))
  }
  return rows
}
