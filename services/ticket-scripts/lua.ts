import { luaBeside } from '../event-log/redis/lua-files.ts'

export const LUA = luaBeside(import.meta.url)
