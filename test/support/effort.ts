/** Whether this is `npm run test:all`, which takes its time. */
export const isThorough = process.env.TEST_ALL === 'true'

/** How often to try: a small number in `npm test`, a great one in `npm run test:all`. */
export function effort(quick: number, thorough: number): number {
  return isThorough ? thorough : quick
}
