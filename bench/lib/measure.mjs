import { machineCpu } from './machine.mjs'
import { sleep } from './time.mjs'

/** How long new streams are left alone before their memory is looked at, in milliseconds. */
const SETTLING = 1_000

/**
 * What server and load use while `work` is done, which says how many `seconds` it took: microseconds of the server's CPU, and
 * the share of a core of both, and of whoever else was using the machine.
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

/** Opens streams, and tells by how much the server's resident memory has grown for each, and what opening one has cost. */
export async function measureOpening(server, load, { count, from = 0 }) {
  await server.ask('reset')
  const before = await server.ask('usage')
  const opened = await measure(server, load, () =>
    load.ask('open', { port: server.port, count, from, path: '/events?user=u#' })
  )
  await sleep(SETTLING)
  await server.ask('reset')
  const after = await server.ask('usage')
  return {
    ...opened,
    kilobytes: (after.rss - before.rss) / count / 1024,
    heap: (after.heap - before.heap) / count / 1024
  }
}

/** A row of a table. What fails for one server is told in its row, and does not stop the others. */
export async function attempt(server, say, work) {
  try {
    return { server, ...(await work()) }
  } catch (error) {
    say(`${server}: ${error.message}`)
    return { server, error: error.message }
  }
}

/**
 * The rows of several servers, each measured so many times: not one after the other but in turns, A B A B, so that what
 * disturbs the machine for a while disturbs them all. Returns the measurements of each server.
 */
export async function inTurns(servers, runs, say, work) {
  const rows = servers.map(() => [])
  for (let run = 0; run < runs; run++) {
    for (const [index, server] of servers.entries()) rows[index].push(await attempt(server, say, () => work(server)))
  }
  return rows
}
