import { readdirSync, readFileSync } from 'node:fs'
import type { LuaSources } from './lua-scripts.ts'

const EXTENSION = '.lua'

/** Reads the Lua files beside a module. The build replaces this call with their text: see `scripts/build.mjs`. */
export function luaBeside(module: string): LuaSources {
  const folder = new URL('.', module)
  const files = readdirSync(folder).filter((name) => name.endsWith(EXTENSION))
  return Object.fromEntries(
    files.map((name) => [name.slice(0, -EXTENSION.length), readFileSync(new URL(name, folder), 'utf8')])
  )
}
