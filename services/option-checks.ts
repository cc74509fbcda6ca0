import { InvalidOptionError } from './errors.ts'
import { describe } from './text.ts'

/** Options that Fastify itself adds to those of a plugin. */
export const REGISTER_OPTIONS = ['prefix', 'logLevel', 'logSerializers', 'encapsulate']

/** The first property of an object that is not among the known ones, which is a mistake. */
export function unknownName(given: object, known: readonly string[]): string | undefined {
  for (const name in given) if (!known.includes(name)) return name
  return undefined
}

/**
 * @param where the name of the group of options; empty for the options of the hub.
 * @param tacit further known names, which the error does not list.
 * @throws {InvalidOptionError} naming the unknown option, and the known ones.
 */
export function checkNames(
  where: string,
  given: object,
  known: readonly string[],
  tacit: readonly string[] = []
): void {
  const unknown = unknownName(given, [...known, ...tacit])
  if (unknown === undefined) return
  throw new InvalidOptionError(
    where === '' ? unknown : `${where}.${unknown}`,
    `is unknown; expected one of ${known.join(', ')}`
  )
}

/** @throws {InvalidOptionError} for a value that is neither undefined nor a function. */
export function checkFunction(name: string, value: unknown): void {
  if (value !== undefined && typeof value !== 'function')
    throw new InvalidOptionError(name, `is a function; got ${describe(value)}`)
}

/** @throws {InvalidOptionError} for a value that is neither undefined nor an object. */
export function checkObject(name: string, value: unknown): void {
  if (value !== undefined && (typeof value !== 'object' || value === null))
    throw new InvalidOptionError(name, `is an object; got ${describe(value)}`)
}

/** @throws {InvalidOptionError} */
export function wholeNumber(name: string, value: unknown, min: number, max: number): number {
  if (!Number.isSafeInteger(value) || (value as number) < min || (value as number) > max) {
    throw new InvalidOptionError(name, `is a whole number from ${min} to ${max}; got ${show(value)}`)
  }
  return value as number
}

/**
 * Resolves options that are whole numbers by a table of default, minimum and maximum.
 * @throws {InvalidOptionError}
 */
export function wholeNumbers<Name extends string>(
  table: Readonly<Record<Name, readonly [preset: number, min: number, max: number]>>,
  given: Readonly<Partial<Record<NoInfer<Name>, unknown>>>
): Record<Name, number> {
  const entries = Object.entries(table) as [Name, readonly [number, number, number]][]
  return Object.fromEntries(
    entries.map(([name, [preset, min, max]]) => [name, wholeNumber(name, given[name] ?? preset, min, max)])
  ) as Record<Name, number>
}

/** @throws {InvalidOptionError} */
export function checkClock(clock: unknown): void {
  if (!hasMethods(clock, ['now', 'monotonic', 'every', 'random']))
    throw new InvalidOptionError('clock', 'is a clock: now, monotonic, every and random')
}

/** Whether a value is an object with these methods. */
export function hasMethods(value: unknown, names: readonly string[]): boolean {
  if (typeof value !== 'object' || value === null) return false
  return names.every((name) => typeof (value as Record<string, unknown>)[name] === 'function')
}

/** A value from outside for an error message: shortened, and without the contents of objects. */
export function show(value: unknown): string {
  if (typeof value === 'object' || typeof value === 'function') return describe(value)
  return typeof value === 'string' ? JSON.stringify(value.slice(0, 40)) : String(value).slice(0, 40)
}
