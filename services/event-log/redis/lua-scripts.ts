import { createHash } from 'node:crypto'
import type { LuaScript } from './link.ts'

/** The Lua files of a folder: the name without `.lua`, and the text. */
export type LuaSources = Readonly<Record<string, string>>

/** Makes what turns the name of a file into a script. Each script begins with what the scripts of its folder share, `common`. */
export function scriptsOf(sources: LuaSources): (name: string) => LuaScript {
  const { common } = sources
  return (name) => {
    const own = sources[name]
    if (common === undefined || own === undefined) throw new Error(`the Lua file ${name} or common is missing`)
    const source = `${common}\n${own}`
    return { source, sha1: createHash('sha1').update(source).digest('hex') }
  }
}
