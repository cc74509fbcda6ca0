/** The environment variables of the process. */
export type Variables = Readonly<Record<string, string | undefined>>

/** An invalid setting. The message begins with the name of the variable. */
export class EnvironmentError extends Error {}

export function fail(name: string, why: string): never {
  throw new EnvironmentError(`${name} ${why}`)
}

export function wholeNumber(env: Variables, name: string, min: number, max: number): number | undefined {
  const text = env[name]
  if (text === undefined || text === '') return undefined
  const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN
  if (!(value >= min && value <= max)) fail(name, `is a whole number from ${min} to ${max}; got ${shown(text)}`)
  return value
}

/** A number as it was written. Other text is not repeated: it may be a secret under the wrong name. */
function shown(text: string): string {
  return /^[-+\d.eE_, ]{1,20}$/.test(text) ? JSON.stringify(text) : `text of ${text.length} characters`
}

export function oneOf(name: string, value: string, values: readonly string[]): string {
  return values.includes(value) ? value : fail(name, `is one of ${values.join(', ')}`)
}

/** The parts of a list, trimmed and without empty ones. */
export function splitList(text: string | undefined, separator: string | RegExp = ','): string[] {
  return (text ?? '')
    .split(separator)
    .map((part) => part.trim())
    .filter((part) => part !== '')
}

/** Whether the value of `HUB_STORE` names a Redis, and neither a folder nor the memory. */
export function isRedisUrl(store: string | undefined): boolean {
  return store !== undefined && /^rediss?[:+]/.test(store)
}
