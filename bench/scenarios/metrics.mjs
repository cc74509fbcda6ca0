import { compare } from '../lib/alternate.mjs'

export const title = 'The cost of metrics'

const VARIANTS = { off: 'hub', on: 'hub-with-metrics' }

export const run = (options) => compare('metrics', VARIANTS, { ...options, load: ', a scrape a second' })
