import { scriptsOf } from '../../redis/lua-scripts.ts'
import { LUA } from './cluster-lua.ts'

const script = scriptsOf(LUA, ['cluster-common'])

export const ANSWER = script('answer')
export const BEGIN = script('begin')
export const JOIN = script('join')
export const RENEW = script('renew')
export const WRITE = script('write')
export const REPLACE = script('replace')
export const RESERVE = script('reserve')
export const COUNT = script('count')
export const OF_USER = script('of-user')
export const USERS = script('users')
export const CLAIM = script('claim')
export const ARE_ONLINE = script('are-online')
export const COMMAND = script('command')
export const LISTEN = script('listen')
export const ROLE = script('role')
export const SWEEP = script('sweep')
