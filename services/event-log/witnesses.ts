import { randomBytes } from 'node:crypto'

/** 36 to the power of 6: the number of witnesses of six characters. */
const RANGE = 2_176_782_336
const LENGTH = 6

/** The random key of a series of witnesses. */
export function newWitnessKey(): string {
  return randomBytes(8).toString('hex')
}

/**
 * The witnesses of entries, made by a keyed hash (HalfSipHash-2-4) of their numbers. So the log knows the witness of every
 * number, and its answer to a wrong one does not reveal whether the entry is still retained.
 */
export class Witnesses {
  readonly #low: number
  readonly #high: number

  constructor(key: string) {
    this.#low = Number.parseInt(key.slice(0, 8), 16) | 0
    this.#high = Number.parseInt(key.slice(8, 16), 16) | 0
  }

  of(seq: number): string {
    const number = halfSipHash(this.#low, this.#high, seq | 0, Math.floor(seq / 2 ** 32)) >>> 0
    return (number % RANGE).toString(36).padStart(LENGTH, '0')
  }
}

/** The key of the witnesses from a number on, the earliest first. */
export type WitnessKeys = readonly (readonly [from: number, key: string])[]

/** Max. number of keys: a log has one for each time that it was opened. */
const MAX_KEYS = 1_000

/** Adds a key, for the numbers from this one on. It replaces a key that was never used. */
export function withKey(keys: WitnessKeys, from: number, key: string): WitnessKeys {
  return [...keys.filter(([before]) => before < from), [from, key] as const].slice(-MAX_KEYS)
}

/** The witness of a number, or undefined if its key is not known. */
export function witnessOf(keys: WitnessKeys, seq: number): string | undefined {
  const found = keys.findLast(([from]) => from <= seq)
  return found && new Witnesses(found[1]).of(seq)
}

function halfSipHash(low: number, high: number, ...words: readonly number[]): number {
  let v0 = low
  let v1 = high
  let v2 = 0x6c796765 ^ low
  let v3 = 0x74656462 ^ high
  const rounds = (count: number) => {
    for (let round = 0; round < count; round++) {
      v0 = (v0 + v1) | 0
      v1 = rotated(v1, 5) ^ v0
      v0 = rotated(v0, 16)
      v2 = (v2 + v3) | 0
      v3 = rotated(v3, 8) ^ v2
      v0 = (v0 + v3) | 0
      v3 = rotated(v3, 7) ^ v0
      v2 = (v2 + v1) | 0
      v1 = rotated(v1, 13) ^ v2
      v2 = rotated(v2, 16)
    }
  }
  for (const word of [...words, (4 * words.length) << 24]) {
    v3 ^= word
    rounds(2)
    v0 ^= word
  }
  v2 ^= 0xff
  rounds(4)
  return v1 ^ v3
}

function rotated(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits))
}
