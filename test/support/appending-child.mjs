import { writeSync } from 'node:fs'

// Appends until it is killed. Its journal on standard output lists each attempt and each acknowledged event.
const [embedded, path, durability, round] = process.argv.slice(2)
const { embeddedLog } = await import(embedded)

const PLENTY = 10_000_000
const retention = { user: PLENTY, topic: PLENTY, everyone: PLENTY, bytes: 2 ** 40, channelBytes: 2 ** 40 }
const log = await embeddedLog({ path, durability, retention })
// Written synchronously, so that no acknowledged event waits in a buffer when the process is killed.
function note(...words) {
  let left = Buffer.from(`${words.join(' ')}\n`)
  while (left.length > 0) {
    try {
      left = left.subarray(writeSync(1, left))
    } catch (error) {
      // The reader is slow.
      if (error.code !== 'EAGAIN') throw error
    }
  }
}

async function writer(name, size) {
  for (let batch = 0; ; batch++) {
    const texts = Array.from({ length: size }, (_, at) => `${round}/${name}/${batch}/${at}/${size}`)
    const events = texts.map((text, at) => ({
      channels: at % 2 ? ['u:alice', 't:news'] : ['everyone'],
      event: 'message',
      data: text + '.'.repeat(batch % 7 === 0 ? 5_000 : 50),
      collapseKey: undefined,
      idempotency: { scope: 'publisher', key: text, digest: 'content' },
      transient: false,
      final: false,
      streams: 0
    }))
    note('try', texts.join(','))
    const receipts = await log.append(events)
    for (const [at, { id }] of receipts.entries()) note('ack', texts[at], id)
  }
}

note('open')
for (const [name, size] of [1, 1, 3, 8].entries()) writer(`w${name}`, size)
