import type { Retention } from '../event-log/retention.ts'
import type { ResolvedOptions } from './options.ts'

/** The options in force that are plain values. Without secrets, and without the parts that a host passes in. */
export interface HubSettings extends Omit<ResolvedOptions, 'log' | 'cluster' | 'clock' | 'welcome' | 'retention'> {
  readonly welcome: boolean
  /** Of the memory log alone: a log that is passed in has its own. */
  readonly retention?: Retention
}

export function settingsOf({
  log,
  cluster: _,
  clock: __,
  welcome,
  retention,
  ...values
}: ResolvedOptions): HubSettings {
  return { ...values, welcome: welcome !== false, ...(log === undefined && { retention }) }
}
