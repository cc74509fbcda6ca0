/** Whether this is the thorough run, `npm run test:all`. */
export const isThorough = process.env.TEST_ALL === 'true'

/** Number of attempts: `quick` in `npm test`, `thorough` in `npm run test:all`. */
export function effort(quick: number, thorough: number): number {
  return isThorough ? thorough : quick
}
