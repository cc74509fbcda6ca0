import { atMost, one, SHARES, two, whole } from '../lib/report.mjs'
import { broadcast } from './broadcast.mjs'

export const title = 'The cost of metrics'

/** Both variants take turns, so that a change of the machine's speed concerns both. */
const FULL = { streams: 1_000, bytes: 200, inFlight: 16, milliseconds: 2_000, rounds: 7 }
const QUICK = { ...FULL, milliseconds: 1_000, rounds: 3 }
const MOST = 1.01

const VARIANTS = { off: 'hub', on: 'hub-with-metrics' }

export async function run({ quick, say }) {
  const { rounds, ...load } = quick ? QUICK : FULL
  const runs = { off: [], on: [] }
  for (let round = 0; round < rounds; round++) {
    say(`round ${round + 1} of ${rounds}`)
    // The first of a round is a little warmer or colder than the second.
    for (const variant of round % 2 === 0 ? ['off', 'on'] : ['on', 'off'])
      runs[variant].push(await broadcast(VARIANTS[variant], load))
  }
  // The fastest run of each: everything else that runs on the machine only adds to it.
  const rows = Object.entries(runs).map(([metrics, of]) => ({
    metrics,
    ...of.reduce((best, each) => (each.each < best.each ? each : best))
  }))
  const [off, on] = rows
  const table = {
    title: `${whole(load.streams)} streams, ${load.inFlight} publishers in flight, a scrape a second`,
    columns: [
      { key: 'metrics', title: 'metrics', as: (text) => text },
      { key: 'rate', title: 'deliveries/s', as: whole },
      { key: 'each', title: 'µs CPU each', as: two },
      { key: 'p99', title: 'p99 ms', as: one },
      ...SHARES
    ],
    rows
  }
  const target = atMost('CPU per delivery, metrics on against off', on.each / off.each, MOST, (value) =>
    value.toFixed(3)
  )
  return { tables: [table], targets: [target] }
}
