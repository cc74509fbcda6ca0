import type { SharedCounts } from '../../services/shared-counts.ts'

/** Two counters that know each other's counts at once. */
export function sharing(): [SharedCounts, SharedCounts] {
  const counts = [new Map<string, number>(), new Map<string, number>()] as const
  const side = (own: Map<string, number>, other: Map<string, number>): SharedCounts => ({
    add: (name, change) => own.set(name, (own.get(name) ?? 0) + change),
    elsewhere: (name) => other.get(name) ?? 0
  })
  return [side(counts[0], counts[1]), side(counts[1], counts[0])]
}
