import { luaBeside } from './lua-files.ts'

export const LUA = luaBeside(import.meta.url)
