import { describe } from './channel.ts'
import { InvalidOptionError } from './errors.ts'

/** The first property of an object that is not among the known ones: a misspelling, or a mistake. */
export function unknownName(given: object, known: readonly string[]): string | undefined {
  for (const name in given) if (!known.includes(name)) return name
  return undefined
}

/**
 * @param where what the options are for; empty for those of the hub itself.
 * @param tacit what is known as well, and not worth naming.
 * @throws {InvalidOptionError} naming the option that is unknown, and those that there are.
 */
export function checkNames(
  where: string,
  given: object,
  known: readonly string[],
  tacit: readonly string[] = []
): void {
  const unknown = unknownName(given, [...known, ...tacit])
  if (unknown === undefined) return
  throw new InvalidOptionError(where === '' ? unknown : `${where}.${unknown}`, `is none; there are ${known.join(', ')}`)
}

/** @throws {InvalidOptionError} for what is there and no function. */
export function checkFunction(name: string, value: unknown): void {
  if (value !== undefined && typeof value !== 'function')
    throw new InvalidOptionError(name, `is a function; got ${describe(value)}`)
}
