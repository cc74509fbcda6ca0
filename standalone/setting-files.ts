import { readFileSync, statSync } from 'node:fs'
import { CONFIG, FILE_SUFFIX, SETTING_NAMES, SETTINGS } from './setting-list.ts'
import { fail, type Variables } from './values.ts'

/** Larger files are not settings. */
const MAX_BYTES = 1_048_576

/**
 * The settings of the environment, of the file that `HUB_CONFIG` names, and of the files that `…_FILE` variables name. A variable
 * of the environment wins over the same setting of the file.
 * @throws {EnvironmentError} No message repeats any content of a file.
 */
export function withSettingFiles(env: Variables): Variables {
  const settings: Record<string, string | undefined> = { ...fromConfig(env[CONFIG]) }
  for (const [name, value] of Object.entries(env)) if (value) settings[name] = value
  for (const { name, isSecret } of SETTINGS) {
    const path = settings[name + FILE_SUFFIX]
    if (!isSecret || !path) continue
    const own = env[name + FILE_SUFFIX] ? env : settings
    if (own[name]) fail(name, `and ${name}${FILE_SUFFIX} exclude each other: set one of them`)
    settings[name] = read(name + FILE_SUFFIX, path).trim()
    if (settings[name] === '') fail(name + FILE_SUFFIX, 'names an empty file')
    settings[name + FILE_SUFFIX] = undefined
  }
  settings[CONFIG] = undefined
  return settings
}

function fromConfig(path: string | undefined): Record<string, string> {
  if (!path) return {}
  const text = read(CONFIG, path)
  let content: unknown
  try {
    content = JSON.parse(text)
  } catch {
    return fail(CONFIG, 'names a file that is not JSON')
  }
  if (typeof content !== 'object' || content === null || Array.isArray(content))
    return fail(CONFIG, 'names a file with a JSON object: the settings by their names')
  return Object.fromEntries(Object.entries(content).map(([name, value]) => [name, textOf(name, value)]))
}

/** A value of the file as text: a list becomes text with commas. */
function textOf(name: string, value: unknown): string {
  if (!SETTING_NAMES.includes(name) || name === CONFIG)
    fail(CONFIG, `has the setting ${JSON.stringify(name.slice(0, 64))}, which this version does not have`)
  if (Array.isArray(value) && value.every((part) => typeof part === 'string' && !part.includes(',')))
    return value.join(',')
  if (typeof value === 'string' || typeof value === 'boolean' || Number.isFinite(value)) return String(value)
  return fail(CONFIG, `has a value of ${name} that is no text, number, boolean, or list of texts without commas`)
}

function read(name: string, path: string): string {
  try {
    if (statSync(path).size > MAX_BYTES) fail(name, `names a file of more than ${MAX_BYTES} bytes`)
    return readFileSync(path, 'utf8')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === undefined) throw error
    return fail(name, `names a file that cannot be read: ${code}`)
  }
}
