import { scriptsBeside } from '../../event-log/redis/script-files.ts'

const script = scriptsBeside(import.meta.url)

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
