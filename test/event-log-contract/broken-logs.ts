import { APPENDING } from './broken-appending.ts'
import { CLOSING } from './broken-closing.ts'
import { CUTTING } from './broken-cutting.ts'
import { INBOXES } from './broken-inboxes.ts'
import { LASTING } from './broken-lasting.ts'
import type { BrokenLog } from './broken-log.ts'
import { READING } from './broken-reading.ts'
import { RECOGNISING } from './broken-recognising.ts'
import { REPEATING } from './broken-repeating.ts'
import { RETAINING } from './broken-retaining.ts'
import { REWINDING } from './broken-rewinding.ts'
import { SHARING } from './broken-sharing.ts'
import { TAILING } from './broken-tailing.ts'
import { TIMING } from './broken-timing.ts'

export const BROKEN_LOGS: readonly BrokenLog[] = [
  ...APPENDING,
  ...REPEATING,
  ...READING,
  ...RECOGNISING,
  ...RETAINING,
  ...TAILING,
  ...CLOSING,
  ...TIMING,
  ...LASTING,
  ...SHARING,
  ...CUTTING,
  ...REWINDING,
  ...INBOXES
]
