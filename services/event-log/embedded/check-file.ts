import { closeSync, fstatSync, openSync, readSync } from 'node:fs'

// The page layout of LMDB, data format 2, as its sources define it. It is only read, to check its consistency: LMDB itself
// trusts the file, and a missing page ends the process without a message.

const MAGIC = 0xbeefc0de
const FORMAT = 2
const HEADER = 24
const PAGE_SIZES = new Set([4_096, 8_192, 16_384, 32_768, 65_536])
const BRANCH = 0x01
const LEAF = 0x02
const OVERFLOW = 0x04
const NODE_HEADER = 8
/** Number of bytes of the reference to a large value. */
const BIG_REFERENCE = 24
const IS_BIG = 0x01
const IS_TREE = 0x02
/** Number of bytes of a value that is the root of a tree. */
const TREE = 48
/** No tree that fits into a file is deeper. */
const MAX_DEPTH = 32
const NO_PAGE = 0xffff_ffff_ffff_ffffn
/** Number of leaves whose content is checked; of the others only that they are within the file. */
const MAX_LEAVES = 100_000

/**
 * Checks that the file begins as a store does, without which LMDB cannot even open it.
 * @throws {Error} whose message names the fault.
 */
export function checkBeginning(path: string): void {
  withFile(path, (file) => new FileCheck(file).checkBeginning())
}

/**
 * Checks that all pages of the store as of a transaction are present and consistent. Finds a file that was cut off or
 * overwritten; only reads it.
 * @throws {Error} whose message names the fault.
 */
export function checkFile(path: string, transaction: number): void {
  withFile(path, (file) => new FileCheck(file).check(transaction))
}

function withFile(path: string, check: (file: number) => void): void {
  const file = openSync(path, 'r')
  try {
    check(file)
  } finally {
    closeSync(file)
  }
}

type Compare = (a: Buffer, b: Buffer) => number

/** Properties of a page that the reference to it implies. */
interface PagePosition {
  readonly compare: Compare
  /** Its keys are from `low` on, and below `high`. */
  readonly low?: Buffer | undefined
  readonly high?: Buffer | undefined
  /** It was written by this transaction, or before. */
  readonly txn: bigint
  readonly depth: number
}

class FileCheck {
  readonly #file: number
  readonly #size: number
  #pageSize = 4_096
  #leaves = 0

  constructor(file: number) {
    this.#file = file
    this.#size = fstatSync(file).size
  }

  checkBeginning(): void {
    const head = this.#read(0, HEADER + 160)
    const isHead = (page: Buffer) => page.readUInt32LE(HEADER) === MAGIC && page.readUInt32LE(HEADER + 4) === FORMAT
    if (!isHead(head)) throw new Error('the file does not begin as a store does')
    this.#pageSize = head.readUInt32LE(HEADER + 24)
    if (!PAGE_SIZES.has(this.#pageSize)) throw new Error('the file does not begin as a store does')
    if (!isHead(this.#read(this.#pageSize, this.#pageSize))) throw new Error('its second head page is not a head page')
  }

  check(transaction: number): void {
    const [free, tables] = this.#rootsAt(transaction)
    const txn = BigInt(transaction)
    if (free !== NO_PAGE) this.#checkPage(free, { compare: compareNumbers, txn, depth: 0 })
    this.#checkTree(tables, txn)
  }

  /** The trees of free pages and of tables, as the head page of the transaction has them. */
  #rootsAt(transaction: number): [free: bigint, tables: bigint] {
    this.checkBeginning()
    // Two head pages alternate; between them lies the copy that was last flushed to the disk.
    for (const offset of [0, this.#pageSize / 2, this.#pageSize]) {
      const head = this.#read(offset, HEADER + 160)
      if (Number(head.readBigUInt64LE(HEADER + 128)) !== transaction) continue
      return [head.readBigUInt64LE(HEADER + 64), head.readBigUInt64LE(HEADER + 112)]
    }
    throw new Error(`there is no head page of transaction ${transaction}`)
  }

  #checkTree(root: bigint, txn: bigint): void {
    if (root !== NO_PAGE) this.#checkPage(root, { compare: Buffer.compare, txn, depth: 0 })
  }

  #checkPage(number: bigint, position: PagePosition): void {
    if (position.depth > MAX_DEPTH) throw new Error(`page ${number} is in a loop`)
    const page = this.#page(number)
    const kind = page.readUInt16LE(18)
    if (kind !== BRANCH && kind !== LEAF) throw new Error(`page ${number} is not a page of a table`)
    const txn = page.readBigUInt64LE(8)
    // A page is written before, or with, the page that refers to it.
    if (txn > position.txn) throw new Error(`page ${number} is newer than the page that refers to it`)
    if (kind === LEAF) this.#leaves++
    const nodes = nodesOf(page, number, kind)
    const keys = nodes.map((node) => keyOf(page, node))
    // The first key of a branch is not written: it is the lowest possible key.
    const first = kind === BRANCH ? 1 : 0
    checkOrder(keys.slice(first), position, number)
    for (const [at, node] of nodes.entries()) {
      const low = at === 0 ? position.low : keys[at]
      const high = keys[at + 1] ?? position.high
      if (kind === LEAF) this.#checkRow(page, node, number, txn)
      else this.#checkChild(page, node, { compare: position.compare, low, high, txn, depth: position.depth + 1 })
    }
  }

  #checkChild(page: Buffer, node: number, position: PagePosition): void {
    const child = BigInt(page.readUInt32LE(node)) + (BigInt(page.readUInt16LE(node + 4)) << 32n)
    if (this.#leaves < MAX_LEAVES) this.#checkPage(child, position)
    else this.#checkWithin(child, 1n)
  }

  #checkRow(page: Buffer, node: number, number: bigint, txn: bigint): void {
    const flags = page.readUInt16LE(node + 4)
    if ((flags & ~(IS_BIG | IS_TREE)) !== 0) throw new Error(`page ${number} is garbled`)
    const data = node + NODE_HEADER + page.readUInt16LE(node + 6)
    const size = page.readUInt32LE(node)
    if ((flags & IS_TREE) !== 0 && size !== TREE) throw new Error(`page ${number} is garbled`)
    if ((flags & IS_TREE) !== 0) this.#checkTree(page.readBigUInt64LE(data + 40), txn)
    if ((flags & IS_BIG) === 0) return
    const first = page.readBigUInt64LE(data)
    this.#checkWithin(first, BigInt(Math.ceil((size + HEADER) / this.#pageSize)))
    const big = this.#read(Number(first) * this.#pageSize, HEADER)
    if (big.readBigUInt64LE(0) !== first || (big.readUInt16LE(18) & OVERFLOW) === 0)
      throw new Error(`page ${first} is not a page of a large row`)
  }

  #page(number: bigint): Buffer {
    this.#checkWithin(number, 1n)
    const page = this.#read(Number(number) * this.#pageSize, this.#pageSize)
    if (page.readBigUInt64LE(0) !== number) throw new Error(`page ${number} has another number`)
    return page
  }

  #checkWithin(number: bigint, count: bigint): void {
    if ((number + count) * BigInt(this.#pageSize) > BigInt(this.#size))
      throw new Error(`page ${number} is missing: the file was cut off at ${this.#size} bytes`)
  }

  #read(offset: number, length: number): Buffer {
    const bytes = Buffer.alloc(length)
    let read = 0
    while (read < length) {
      const more = readSync(this.#file, bytes, read, length - read, offset + read)
      if (more === 0) throw new Error(`the file was cut off at ${this.#size} bytes`)
      read += more
    }
    return bytes
  }
}

/** The offsets of the nodes of a page. LMDB moves nodes by these numbers, so that a wrong one overwrites other memory. */
function nodesOf(page: Buffer, number: bigint, kind: number): number[] {
  const offsetsEnd = HEADER + page.readUInt16LE(20)
  const nodesStart = HEADER + page.readUInt16LE(22)
  const isValid = offsetsEnd % 2 === 0 && offsetsEnd <= nodesStart && nodesStart <= page.length
  const count = (offsetsEnd - HEADER) / 2
  // A branch without a node has no page for any key.
  if (!isValid || (kind === BRANCH && count === 0)) throw new Error(`page ${number} is garbled`)
  const nodes = Array.from({ length: count }, (_, at) => HEADER + page.readUInt16LE(HEADER + 2 * at))
  let free = nodesStart
  for (const node of nodes.toSorted((a, b) => a - b)) {
    const end = node + NODE_HEADER <= page.length ? endOf(page, node, kind) : Number.POSITIVE_INFINITY
    if (node < free || end > page.length) throw new Error(`page ${number} is garbled`)
    free = end
  }
  return nodes
}

/** Where the key of a node ends, and its value if it is on the page. */
function endOf(page: Buffer, node: number, kind: number): number {
  const keyEnd = node + NODE_HEADER + page.readUInt16LE(node + 6)
  if (kind === BRANCH) return keyEnd
  return keyEnd + ((page.readUInt16LE(node + 4) & IS_BIG) !== 0 ? BIG_REFERENCE : page.readUInt32LE(node))
}

function keyOf(page: Buffer, node: number): Buffer {
  return page.subarray(node + NODE_HEADER, node + NODE_HEADER + page.readUInt16LE(node + 6))
}

function checkOrder(keys: readonly Buffer[], { compare, low, high }: PagePosition, number: bigint): void {
  keys.forEach((key, at) => {
    const before = at === 0 ? low : keys[at - 1]
    const order = before === undefined ? 1 : compare(key, before)
    // The reference to a page may equal its first key.
    const isAbove = order > 0 || (order === 0 && at === 0)
    if (!isAbove || (high !== undefined && compare(key, high) >= 0)) throw new Error(`page ${number} is out of order`)
  })
}

/** Free pages are filed under the numbers of transactions. */
function compareNumbers(a: Buffer, b: Buffer): number {
  if (a.length !== 8 || b.length !== 8) return 0
  return Number(a.readBigUInt64LE() - b.readBigUInt64LE())
}
