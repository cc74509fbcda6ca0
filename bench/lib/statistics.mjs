/** The value below which `share` of the values lies; NaN without values. */
export function percentile(values, share) {
  if (values.length === 0) return Number.NaN
  const sorted = Float64Array.from(values).sort()
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]
}

export function median(values) {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

export function percentiles(values) {
  return {
    p50: percentile(values, 0.5),
    p90: percentile(values, 0.9),
    p99: percentile(values, 0.99),
    max: percentile(values, 1)
  }
}

/**
 * Combines repeated measurements into one row, with the median of every number. A failed or incomplete measurement
 * replaces all others.
 */
export function medianRow(rows) {
  const bad = rows.find(({ error }) => error !== undefined) ?? rows.find(({ isComplete }) => isComplete === false)
  if (bad !== undefined || rows.length === 1) return bad ?? rows[0]
  const entries = Object.entries(rows[0]).map(([key, value]) => [
    key,
    typeof value === 'number' ? median(rows.map((row) => row[key])) : value
  ])
  return { ...Object.fromEntries(entries), runs: rows.length }
}
