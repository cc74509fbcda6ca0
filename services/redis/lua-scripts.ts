import { createHash } from 'node:crypto'
import type { LuaScript } from './link.ts'

/** The Lua files of a folder: the name without `.lua`, and the text. */
export type LuaSources = Readonly<Record<string, string>>

/**
 * Returns a function that creates the script of a file.
 * @param common the files that each script begins with, in this order
 */
export function scriptsOf(sources: LuaSources, common: readonly string[]): (name: string) => LuaScript {
  return (name) => {
    const texts = [...common, name].map((file) => {
      const text = sources[file]
      if (text === undefined) throw new Error(`The Lua file ${file} is missing`)
      return text
    })
    const source = texts.join('\n')
    return { source, sha1: createHash('sha1').update(source).digest('hex') }
  }
}
