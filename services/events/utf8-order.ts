/**
 * The order of names: by their bytes as UTF-8, which is by code points. Every node and every store has this order. JavaScript's
 * own order differs: it puts an emoji before some letters that have lower code points.
 */
export function compareNames(one: string, other: string): number {
  const length = Math.min(one.length, other.length)
  for (let at = 0; at < length; at++) {
    const difference = rank(one.charCodeAt(at)) - rank(other.charCodeAt(at))
    if (difference !== 0) return difference
  }
  return one.length - other.length
}

/** Surrogates stand for code points above all that fit in one unit. */
function rank(unit: number): number {
  return unit >= 0xd800 && unit < 0xe000 ? unit + 0x10000 : unit
}
