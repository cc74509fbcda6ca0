/** Whether this is the thorough run, `npm run test:all`. */
export const isThorough = process.env.TEST_ALL === 'true'

/** Multiplies the number of attempts of a thorough run: `TEST_FACTOR=10 npm run test:all` tries ten times as often. */
const FACTOR = Number(process.env.TEST_FACTOR ?? 1)

/** Number of attempts, or milliseconds: `quick` in `npm test`, `thorough` in `npm run test:all`. */
export function effort(quick: number, thorough: number): number {
  return isThorough ? Math.max(1, Math.round(thorough * FACTOR)) : quick
}
