import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

// Appends to a log whose disk answers only when this program's own event loop lets it. Prints what it observed
// meanwhile.
const [embedded, path] = process.argv.slice(2)
const disk = process.env.HELD_DISK
const { embeddedLog } = await import(embedded)

const log = await embeddedLog({ path, durability: 'sync' })
const dispatched = []
await log.tail({ onEvents: (events) => dispatched.push(...events.map(({ data }) => data)), onDiscontinuity: () => {} })

const acknowledged = []
const append = (data) =>
  log
    .append([{ channels: ['everyone'], event: 'message', data, transient: false, final: false, streams: 0 }])
    .then(() => acknowledged.push(data))
function seen() {
  const { events } = log.read({ channels: ['everyone'], from: 'oldest', limit: 100 })
  return { acknowledged: [...acknowledged], dispatched: [...dispatched], read: events.map(({ data }) => data) }
}

await append('before')
await writeFile(join(disk, 'held'), '')
const appends = [append('a')]
// The disk answers when it is asked to flush: from then on the commit is pending.
await readFile(join(disk, 'waits'))
appends.push(append('b'), append('c'))
let turns = 0
await new Promise((resolve) => {
  const turn = () => (++turns === 100 ? resolve() : setImmediate(turn))
  turn()
})
const pending = seen()
await rm(join(disk, 'held'))
await writeFile(join(disk, 'goes'), '.')
await Promise.all(appends)
console.log(JSON.stringify({ turns, pending, done: seen() }))
await log.close()
