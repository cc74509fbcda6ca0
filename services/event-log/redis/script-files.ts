import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { LuaScript } from './link.ts'

/** Makes what reads the scripts beside a module, where the build puts them too: each begins with what they have in common. */
export function scriptsBeside(module: string): (name: string) => LuaScript {
  const read = (name: string) => readFileSync(new URL(`./${name}.lua`, module), 'utf8')
  const common = read('common')
  return (name) => {
    const source = `${common}\n${read(name)}`
    return { source, sha1: createHash('sha1').update(source).digest('hex') }
  }
}
