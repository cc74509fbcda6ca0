import { broadcast } from '../scenarios/broadcast.mjs'
import { median } from './statistics.mjs'

/**
 * Runs the broadcast against variants of the hub in turn, so that a change of the machine's speed concerns all. Returns the row of each, of its
 * fastest run, and the CPU per delivery as a ratio to the first: the median over the rounds.
 */
export async function alternate(variants, { rounds, say, ...load }) {
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
