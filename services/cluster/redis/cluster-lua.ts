import { luaBeside } from '../../redis/lua-files.ts'

export const LUA = luaBeside(import.meta.url)
