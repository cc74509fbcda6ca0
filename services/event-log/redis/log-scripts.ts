import { scriptsOf } from '../../redis/lua-scripts.ts'
import { LUA } from './log-lua.ts'

const script = scriptsOf(LUA, ['common-state', 'common-entries', 'common-maintenance'])

export const APPEND = script('append')
export const READ = script('read')
export const POSITION = script('position')
