import { randomFillSync } from 'node:crypto'

const ALPHABET = Buffer.from('0123456789abcdefghijklmnopqrstuvwxyz')
// Random bytes are drawn in pages: one system call serves several hundred events.
const pool = Buffer.alloc(4096)
let drawn = pool.length
// Letters are collected here and converted at once: V8 keeps a string that is built letter by letter in pieces.
const letters = Buffer.alloc(64)

/** Up to 64 characters of `[0-9a-z]`, each equally likely. */
export function randomText(length: number): string {
  for (let written = 0; written < length; ) {
    if (drawn === pool.length) {
      randomFillSync(pool)
      drawn = 0
    }
    const byte = pool[drawn++] as number
    // 252 is the largest multiple of 36 in a byte: higher bytes would make the first letters likelier.
    if (byte < 252) letters[written++] = ALPHABET[byte % 36] as number
  }
  return letters.toString('latin1', 0, length)
}
