import { broadcast } from '../scenarios/broadcast.mjs'
import { atMost, one, SHARES, two, whole } from './report.mjs'
import { median } from './statistics.mjs'

const FULL = { streams: 1_000, bytes: 200, inFlight: 16, milliseconds: 2_000, rounds: 9 }
const QUICK = { ...FULL, milliseconds: 1_000, rounds: 3 }
/** Max. CPU of a delivery of the second variant, as a ratio to the first. */
const MOST = 1.01

/**
 * The table and the target of variants of the hub, which cost a delivery as little as the first.
 * @param load what is measured meanwhile, for the title.
 */
export async function compare(subject, variants, { quick, say, load = '' }) {
  const form = quick ? QUICK : FULL
  const rows = await alternate(variants, { ...form, say })
  const table = {
    title: `${whole(form.streams)} streams, ${form.inFlight} publishers in flight${load}`,
    columns: [
      { key: 'variant', title: subject, as: (text) => text },
      { key: 'rate', title: 'deliveries/s', as: whole },
      { key: 'each', title: 'µs CPU each', as: two },
      { key: 'ratio', title: 'of off', as: two },
      { key: 'p99', title: 'p99 ms', as: one },
      ...SHARES
    ],
    rows
  }
  const [off, second] = Object.keys(variants)
  const name = `CPU per delivery, ${subject} ${second} against ${off}`
  return { tables: [table], targets: [atMost(name, rows[1].ratio, MOST, (value) => value.toFixed(3))] }
}

/**
 * Runs the broadcast against variants of the hub in turn, so that a change of the machine's speed concerns all. Returns the row
 * of each, of its fastest run, and the CPU per delivery as a ratio to the first: the median over the rounds.
 */
async function alternate(variants, { rounds, say, ...load }) {
  const names = Object.keys(variants)
  const runs = Object.fromEntries(names.map((name) => [name, []]))
  for (let round = 0; round < rounds; round++) {
    say(`round ${round + 1} of ${rounds}`)
    // The first of a round is a little warmer or colder than the others.
    for (const name of round % 2 === 0 ? names : names.toReversed())
      runs[name].push(await broadcast(variants[name], load))
  }
  const [first] = names
  return names.map((variant) => ({
    variant,
    ...runs[variant].reduce((best, each) => (each.each < best.each ? each : best)),
    ratio: median(runs[variant].map(({ each }, round) => each / runs[first][round].each))
  }))
}
