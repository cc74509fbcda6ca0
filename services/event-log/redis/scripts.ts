import { LUA } from './lua.ts'
import { scriptsOf } from './lua-scripts.ts'

const script = scriptsOf(LUA)

export const APPEND = script('append')
export const READ = script('read')
export const WHERE = script('where')
