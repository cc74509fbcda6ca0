import { randomFillSync } from 'node:crypto'

const ALPHABET = Buffer.from('0123456789abcdefghijklmnopqrstuvwxyz')
// Random bytes are drawn a page at a time: one call into the system for some hundred events.
const pool = Buffer.alloc(4096)
let drawn = pool.length
// Letters are put down here and read off in one piece: text that is added up letter by letter is kept in pieces.
const letters = Buffer.alloc(64)

/** Up to 64 characters of `[0-9a-z]`, each equally likely. */
export function randomText(length: number): string {
  for (let written = 0; written < length; ) {
    if (drawn === pool.length) {
      randomFillSync(pool)
      drawn = 0
    }
    const byte = pool[drawn++] as number
    // 252 is the largest multiple of 36 in a byte: what is above would make the first letters likelier.
    if (byte < 252) letters[written++] = ALPHABET[byte % 36] as number
  }
  return letters.toString('latin1', 0, length)
}
