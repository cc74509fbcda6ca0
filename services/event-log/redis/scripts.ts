import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { LuaScript } from './link.ts'

// Read from beside this file, where the build puts them too.
const common = read('common')

export const APPEND = script('append')
export const READ = script('read')
export const WHERE = script('where')

function script(name: string): LuaScript {
  const source = `${common}\n${read(name)}`
  return { source, sha1: createHash('sha1').update(source).digest('hex') }
}

function read(name: string): string {
  return readFileSync(new URL(`./${name}.lua`, import.meta.url), 'utf8')
}
