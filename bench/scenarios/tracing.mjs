import { compare } from '../lib/alternate.mjs'

export const title = 'The cost of tracing'

const VARIANTS = { off: 'hub', 'on, without an SDK': 'hub-with-tracing', 'on, all sampled': 'hub-with-spans' }

export const run = (options) => compare('tracing', VARIANTS, options)
