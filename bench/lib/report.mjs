/** Formats of numbers. */
export const whole = (value) => Math.round(value).toLocaleString('en-US')
export const one = (value) => value.toFixed(1)
export const two = (value) => value.toFixed(2)
export const share = (value) => `${Math.round(value * 100)} %`
export const percent = (value) => `${(value * 100).toFixed(1)} %`
export const times = (value) => `${value.toFixed(value < 10 ? 2 : 1)} ×`
export const as = (text) => text

/** Whether every stream got every published event exactly once. */
export const COUNTS = {
  key: 'isComplete',
  title: 'all arrived',
  as: (isComplete, { received, min, max }) =>
    isComplete ? 'yes' : `NO: ${whole(received)} in all, ${min} to ${max} a stream`
}
export const SHARES = [
  { key: 'serverShare', title: 'server', as: share },
  { key: 'loadShare', title: 'load', as: share }
]

/**
 * A table as text. Each column has the key that it shows, and its format.
 */
export function tableOf(columns, rows) {
  const cells = rows.map((row) => columns.map((column, index) => cellOf(row, column, index)))
  const table = [columns.map(({ title }) => title), ...cells]
  const widths = columns.map((_, index) => Math.max(...table.map((line) => line[index].length)))
  const rule = widths.map((width) => '─'.repeat(width))
  return [table[0], rule, ...table.slice(1)]
    .map((line) => line.map((cell, index) => (index === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[index]))))
    .map((line) => `  ${line.join('  ')}`.trimEnd())
    .join('\n')
}

function cellOf(row, column, index) {
  const value = row[column.key]
  if (value !== undefined && !Number.isNaN(value)) return column.as(value, row)
  return index === 1 && row.error !== undefined ? 'failed' : '–'
}

/** A target of the hub. */
export const atLeast = (what, figure, bound, as) => ({ what, figure, bound, sign: '≥', isReached: figure >= bound, as })
export const atMost = (what, figure, bound, as) => ({ what, figure, bound, sign: '≤', isReached: figure <= bound, as })
/** A target that is a condition. */
export const mustBe = (what, isReached) => ({ what, figure: isReached ? 'yes' : 'no', isReached })

export function targetsOf(targets) {
  const columns = [
    { key: 'what', title: 'to reach', as },
    { key: 'figure', title: 'measured', as: (value, { as: write = as }) => write(value) },
    { key: 'bound', title: 'bound', as: (value, { sign, as: write }) => `${sign} ${write(value)}` },
    { key: 'isReached', title: '', as: (isReached) => (isReached ? 'reached' : 'NOT REACHED') }
  ]
  return tableOf(columns, targets)
}
