import { type ParseArgsConfig, parseArgs } from 'node:util'
import { UsageError } from './command-context.ts'

type Options = NonNullable<ParseArgsConfig['options']>

/** The options of every command that talks to a hub. */
export const HUB_OPTIONS = {
  url: { type: 'string' },
  key: { type: 'string' },
  json: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' }
} as const satisfies Options

/** @throws {UsageError} */
export function parse<Known extends Options>(
  args: readonly string[],
  options: Known,
  allowPositionals = false
): ReturnType<typeof parseArgs<{ options: Known; strict: true; allowPositionals: boolean }>> {
  try {
    return parseArgs({ args: [...args], options, allowPositionals, strict: true })
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
}

/** @throws {UsageError} for anything but a whole number within the bounds. */
export function numberOf(name: string, text: string | undefined, min: number, max: number): number | undefined {
  if (text === undefined) return undefined
  const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN
  if (!(value >= min && value <= max)) throw new UsageError(`--${name} is a whole number from ${min} to ${max}`)
  return value
}

interface TargetOptions {
  readonly user?: string | undefined
  readonly topic?: string | undefined
  readonly everyone?: boolean | undefined
}

/** The path of a history: of a user, of a topic, or of everyone. @throws {UsageError} unless exactly one is named. */
export function historyPath({ user, topic, everyone }: TargetOptions): string {
  if ([user, topic, everyone].filter((given) => given !== undefined).length !== 1)
    throw new UsageError('name one of --user, --topic and --everyone')
  if (user !== undefined) return `/users/${encodeURIComponent(user)}/events`
  return topic === undefined ? '/broadcast' : `/topics/${encodeURIComponent(topic)}/events`
}
