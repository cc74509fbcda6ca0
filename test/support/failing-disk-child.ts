import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { embeddedLog } from '../../services/event-log/embedded/open-embedded-log.ts'

// Appends to a log whose disk fails for a while, and prints each answer.
const [path = '', durability = 'sync'] = process.argv.slice(2)
const fails = join(process.env.FAILING_DISK ?? '', 'fails')
const open = () => embeddedLog({ path, durability: durability as 'sync' | 'process' })

let log = await open()
const answers: string[] = []
async function append(data: string): Promise<void> {
  const event = { channels: ['everyone' as const], event: 'message', data, transient: false, final: false, streams: 0 }
  const answer = await log.append([event]).then(
    () => 'taken',
    (error) => error.code
  )
  answers.push(`${data} ${answer}`)
}
async function retained(): Promise<string[]> {
  const { events } = await log.read({ channels: ['everyone'], from: 'oldest', limit: 100 })
  return events.map(({ data }) => data)
}

await append('a')
writeFileSync(fails, '')
for (const data of ['b', 'c', 'd']) await append(data)
const ready = [await log.ready()]
const during = await retained()
rmSync(fails)
ready.push(await log.ready())
await append('e')
await log.close()
log = await open()
console.log(JSON.stringify({ answers, ready, during, after: await retained() }))
await log.close()
