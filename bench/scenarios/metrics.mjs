import { alternate } from '../lib/alternate.mjs'
import { atMost, one, SHARES, two, whole } from '../lib/report.mjs'

export const title = 'The cost of metrics'

const FULL = { streams: 1_000, bytes: 200, inFlight: 16, milliseconds: 2_000, rounds: 9 }
const QUICK = { ...FULL, milliseconds: 1_000, rounds: 3 }
const MOST = 1.01

const VARIANTS = { off: 'hub', on: 'hub-with-metrics' }

export async function run({ quick, say }) {
  const load = quick ? QUICK : FULL
  const rows = await alternate(VARIANTS, { ...load, say })
  const table = {
    title: `${whole(load.streams)} streams, ${load.inFlight} publishers in flight, a scrape a second`,
    columns: [
      { key: 'variant', title: 'metrics', as: (text) => text },
      { key: 'rate', title: 'deliveries/s', as: whole },
      { key: 'each', title: 'µs CPU each', as: two },
      { key: 'p99', title: 'p99 ms', as: one },
      ...SHARES
    ],
    rows
  }
  const target = atMost('CPU per delivery, metrics on against off', rows[1].ratio, MOST, (value) => value.toFixed(3))
  return { tables: [table], targets: [target] }
}
