import type { HubMeasures } from '../hub/hub-measures.ts'
import type { LatencyHistogram } from '../latency-histogram.ts'

export interface Sample {
  readonly value: number
  readonly labels?: Readonly<Record<string, string>>
}

interface Described {
  readonly name: string
  readonly help: string
  /** The names of its labels, each with few values: never a user, a topic or an address. */
  readonly labels?: readonly string[]
}

/** A metric that is a function of what the hub counts: nothing is added up twice. */
export type HubMetric = Described &
  (
    | { readonly type: 'gauge' | 'counter'; readonly read: (measures: HubMeasures) => readonly Sample[] }
    | { readonly type: 'histogram'; readonly read: (measures: HubMeasures) => LatencyHistogram | undefined }
  )

/** A sample without labels; none if there is no value. */
export function one(value: number | boolean | undefined): Sample[] {
  return value === undefined ? [] : [{ value: Number(value) }]
}

/** A sample for each entry. */
export function each(label: string, values: Readonly<Record<string, number>>): Sample[] {
  return Object.entries(values).map(([name, value]) => ({ value, labels: { [label]: name } }))
}

export const seconds = (milliseconds: number): number => milliseconds / 1_000
