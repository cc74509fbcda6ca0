import { alternate } from '../lib/alternate.mjs'
import { atMost, one, SHARES, two, whole } from '../lib/report.mjs'

export const title = 'The cost of tracing'

const FULL = { streams: 1_000, bytes: 200, inFlight: 16, milliseconds: 2_000, rounds: 9 }
const QUICK = { ...FULL, milliseconds: 1_000, rounds: 3 }
const MOST = 1.01

const VARIANTS = { off: 'hub', 'on, without an SDK': 'hub-with-tracing', 'on, all sampled': 'hub-with-spans' }

export async function run({ quick, say }) {
  const load = quick ? QUICK : FULL
  const rows = await alternate(VARIANTS, { ...load, say })
  const table = {
    title: `${whole(load.streams)} streams, ${load.inFlight} publishers in flight`,
    columns: [
      { key: 'variant', title: 'tracing', as: (text) => text },
      { key: 'rate', title: 'deliveries/s', as: whole },
      { key: 'each', title: 'µs CPU each', as: two },
      { key: 'ratio', title: 'of off', as: two },
      { key: 'p99', title: 'p99 ms', as: one },
      ...SHARES
    ],
    rows
  }
  const name = 'CPU per delivery, tracing without an SDK against off'
  return { tables: [table], targets: [atMost(name, rows[1].ratio, MOST, (value) => value.toFixed(3))] }
}
