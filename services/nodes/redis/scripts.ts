import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { LuaScript } from '../../event-log/redis/link.ts'

// Read from beside this file, where the build puts them too.
const common = read('common')

export const ANSWER = script('answer')
export const JOIN = script('join')
export const RENEW = script('renew')
export const WRITE = script('write')
export const RESERVE = script('reserve')
export const COUNT = script('count')
export const OF_USER = script('of-user')
export const USERS = script('users')
export const COMMAND = script('command')
export const LISTEN = script('listen')
export const SWEEP = script('sweep')

function script(name: string): LuaScript {
  const source = `${common}\n${read(name)}`
  return { source, sha1: createHash('sha1').update(source).digest('hex') }
}

function read(name: string): string {
  return readFileSync(new URL(`./${name}.lua`, import.meta.url), 'utf8')
}
