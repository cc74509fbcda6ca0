/** How many ids a tab remembers: more than a leader keeps entries. */
const MAX_IDS = 4_096

export interface RecentIds {
  add(id: string): void
  has(id: string): boolean
}

/** The ids of the newest entries that a tab has handled. */
export function recentIds(): RecentIds {
  const ids = new Set<string>()
  return {
    add(id) {
      ids.delete(id)
      ids.add(id)
      if (ids.size > MAX_IDS) for (const oldest of ids) return void ids.delete(oldest)
    },
    has: (id) => ids.has(id)
  }
}
