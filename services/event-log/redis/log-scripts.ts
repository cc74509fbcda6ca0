import { scriptsOf } from '../../redis/lua-scripts.ts'
import { LUA } from './log-lua.ts'

const script = scriptsOf(LUA, ['common-state', 'common-entries', 'common-tails', 'common-maintenance'])

export const APPEND = script('append')
export const READ = script('read')
export const POSITION = script('position')
export const JOIN = script('join')
export const REGISTER = script('register')
export const LEAVE = script('leave')
