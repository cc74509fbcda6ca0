import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { checkBeginning, checkFile } from '../../services/event-log/embedded/check-file.ts'
import { embeddedLog } from '../../services/event-log/embedded/open-embedded-log.ts'

const PAGE = 4_096
const HEADER = 24
const BRANCH = 1
const LEAF = 2
const OVERFLOW = 4

/** An intact file, with pages of every kind, and the number of its last transaction. */
async function whole(t: Test): Promise<{ bytes: Buffer; transaction: number; path: string }> {
  const folder = mkdtempSync(join(tmpdir(), 'check-file-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const log = await embeddedLog({ path: folder, durability: 'process' })
  for (let batch = 0; batch < 10; batch++) {
    await log.append(
      Array.from({ length: 50 }, (_, at) => ({
        ...{ channels: [`u:${at}` as const], event: 'message', data: 'x'.repeat(at === 0 ? 9_000 : 200) },
        ...{ transient: false, final: false, streams: 0 }
      }))
    )
  }
  await log.close()
  const path = join(folder, 'data.mdb')
  const bytes = readFileSync(path)
  const transactions = [0, PAGE].map((head) => Number(bytes.readBigUInt64LE(head + HEADER + 128)))
  return { bytes, transaction: Math.max(...transactions), path }
}

t.test('an intact file passes, as of its last transaction', async (t) => {
  const { transaction, path } = await whole(t)
  checkBeginning(path)
  checkFile(path, transaction)
  t.throws(() => checkFile(path, transaction + 100), {
    message: `there is no head page of transaction ${transaction + 100}`
  })
})

t.test('a file with another beginning is reported', async (t) => {
  const { bytes, path } = await whole(t)
  const cases: [RegExp, (bytes: Buffer) => void][] = [
    [/does not begin as a store does/, (bytes) => bytes.writeUInt32LE(1, HEADER)],
    [/does not begin as a store does/, (bytes) => bytes.writeUInt32LE(3, HEADER + 4)],
    [/does not begin as a store does/, (bytes) => bytes.writeUInt32LE(4_095, HEADER + 24)],
    [/second head page is not a head page/, (bytes) => bytes.writeUInt32LE(1, PAGE + HEADER)],
    [/second head page is not a head page/, (bytes) => bytes.writeUInt32LE(3, PAGE + HEADER + 4)]
  ]
  for (const [message, damage] of cases) {
    const damaged = Buffer.from(bytes)
    damage(damaged)
    writeFileSync(path, damaged)
    t.throws(() => checkBeginning(path), { message })
  }
})

t.test('any damage to a page is reported', async (t) => {
  const { bytes, transaction, path } = await whole(t)
  const firstNode = (page: Buffer) => HEADER + page.readUInt16LE(HEADER)
  const cases: [RegExp, number, (page: Buffer, number: number) => void][] = [
    [/page \d+ has another number/, LEAF, (page, number) => page.writeBigUInt64LE(BigInt(number + 1), 0)],
    [/page \d+ is not a page of a table/, LEAF, (page) => page.writeUInt16LE(OVERFLOW, 18)],
    [/page \d+ is not a page of a table/, LEAF, (page) => page.writeUInt16LE(BRANCH | LEAF, 18)],
    [/page \d+ is garbled/, LEAF, (page) => page.writeUInt16LE(0xffff, 20)],
    [/page \d+ is garbled/, LEAF, (page) => page.writeUInt16LE(PAGE, HEADER)],
    [/page \d+ is garbled/, LEAF, (page) => page.writeUInt32LE(PAGE, firstNode(page))],
    [/page \d+ is garbled/, LEAF, (page) => page.writeUInt16LE(0xffff, firstNode(page) + 6)],
    [/page \d+ is missing: the file was cut off at \d+ bytes/, LEAF, makeBig],
    [/page \d+ is newer than the page that refers to it/, LEAF, (page) => page.writeBigUInt64LE(1n << 40n, 8)],
    [/page \d+ is out of order/, LEAF, (page) => page.readUInt16LE(20) > 2 && swapFirst(page)],
    [/page \d+ is out of order/, LEAF, (page) => page.fill(0, firstNode(page) + 8, firstNode(page) + 9)],
    [/page \d+ is garbled/, BRANCH, (page) => page.writeUInt16LE(0xffff, firstNode(page) + 6)],
    // A branch page below itself has less room for its keys.
    [/page \d+ is (in a loop|out of order)/, BRANCH, (page, number) => page.writeUInt32LE(number, firstNode(page))],
    [/page \d+ is missing/, BRANCH, (page) => page.writeUInt32LE(0xffff_ffff, firstNode(page))],
    [/page \d+ is not a page of a large row/, OVERFLOW, (page, number) => page.writeBigUInt64LE(BigInt(number + 1), 0)],
    [/page \d+ is not a page of a large row/, OVERFLOW, (page) => page.writeUInt16LE(LEAF, 18)]
  ]
  function swapFirst(page: Buffer): void {
    const [first, second] = [page.readUInt16LE(HEADER), page.readUInt16LE(HEADER + 2)]
    page.writeUInt16LE(second, HEADER)
    page.writeUInt16LE(first, HEADER + 2)
  }
  /** Makes the first row of a page refer to bytes beyond the end of the file. */
  function makeBig(page: Buffer): void {
    const node = firstNode(page)
    const data = node + 8 + page.readUInt16LE(node + 6)
    if (data + 24 > PAGE) return
    page.writeUInt16LE(1, node + 4)
    page.writeBigUInt64LE(0xff_ffff_ffffn, data)
  }
  for (const [message, kind, damage] of cases) {
    // Some pages belong to older transactions, and are free: damage to them is not reported.
    const reports = pagesOf(bytes, kind).map((number) => {
      const damaged = Buffer.from(bytes)
      damage(damaged.subarray(number * PAGE, (number + 1) * PAGE), number)
      writeFileSync(path, damaged)
      try {
        checkFile(path, transaction)
        return undefined
      } catch (error) {
        return (error as Error).message
      }
    })
    const reasons = reports.filter((reason) => reason !== undefined)
    t.ok(reasons.length > 0, `${message}`)
    t.same(
      reasons.filter((reason) => !message.test(reason)),
      []
    )
  }
})

function pagesOf(bytes: Buffer, kind: number): number[] {
  const pages: number[] = []
  for (let number = 2; number < bytes.length / PAGE; number++) {
    const at = number * PAGE
    const isPage = bytes.readBigUInt64LE(at) === BigInt(number) && bytes.readUInt16LE(at + 18) === kind
    if (isPage && (kind === OVERFLOW || bytes.readUInt16LE(at + 20) > 0)) pages.push(number)
  }
  return pages.slice(0, 60)
}
