import { readCertificate } from '../certificate.ts'
import { describeSettings } from '../describe-settings.ts'
import { readEnvironment } from '../environment.ts'
import { CONFIG, FILE_SUFFIX, SETTINGS } from '../setting-list.ts'
import type { Variables } from '../values.ts'
import { type Command, UsageError } from './command-context.ts'
import { parse } from './options.ts'

/** The variables of the settings by the names of their options: `--max-streams`, and `--hub-max-streams` as well. */
const VARIABLES: ReadonlyMap<string, string> = new Map(
  [...SETTINGS.flatMap(({ name, isSecret }) => (isSecret ? [name, name + FILE_SUFFIX] : [name])), CONFIG].flatMap(
    (name): [string, string][] => [
      [optionOf(name.replace(/^HUB_/, '')), name],
      [optionOf(name), name]
    ]
  )
)

function optionOf(name: string): string {
  return name.toLowerCase().replaceAll('_', '-')
}

export interface ServeRequest {
  /** The environment, with the settings of the options. */
  readonly env: Variables
  readonly action: 'serve' | 'print-config' | 'help' | 'version'
}

/** @throws {UsageError} */
export function readServeRequest(args: readonly string[], env: Variables): ServeRequest {
  const options = Object.fromEntries([...VARIABLES.keys()].map((name) => [name, { type: 'string' as const }]))
  const { values } = parse(args, {
    ...options,
    'print-config': { type: 'boolean' },
    help: { type: 'boolean', short: 'h' },
    version: { type: 'boolean', short: 'v' }
  })
  const given: Record<string, string> = {}
  for (const [option, value] of Object.entries(values)) {
    const name = VARIABLES.get(option)
    if (name === undefined) continue
    if (given[name] !== undefined) throw new UsageError(`--${option} is given twice`)
    given[name] = String(value)
  }
  const action = (['help', 'version', 'print-config'] as const).find((name) => values[name]) ?? 'serve'
  return { env: { ...env, ...given }, action }
}

/** The settings in force as JSON, without secrets. @throws {EnvironmentError} */
export function printConfig(env: Variables): string {
  return JSON.stringify(describeSettings(readEnvironment(env)), undefined, 2)
}

/** `check`: whether the hub would start with these settings. It opens no store, so it may run beside the hub. */
export const check: Command = async (args, context) => {
  const { env, action } = readServeRequest(args, context.env)
  if (action !== 'serve') throw new UsageError(`check takes settings alone, and no --${action}`)
  try {
    const { tls } = readEnvironment(env)
    if (tls !== undefined) readCertificate(tls)
  } catch (error) {
    context.complain((error as Error).message)
    return 1
  }
  context.print('the settings are valid')
  return 0
}
