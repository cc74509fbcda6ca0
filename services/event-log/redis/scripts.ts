import { scriptsBeside } from './script-files.ts'

const script = scriptsBeside(import.meta.url)

export const APPEND = script('append')
export const READ = script('read')
export const WHERE = script('where')
