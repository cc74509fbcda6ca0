// The worker: a process without a hub and without Fastify, which publishes over HTTP.
import { setTimeout as wait } from 'node:timers/promises'
import { HubPublisher } from 'fastify-sse-hub/publisher'

const STEPS = 10
/** Milliseconds of a step. */
const tick = Number(process.env.TICK ?? 500)

const hub = new HubPublisher({ url: process.env.SSE_HUB_URL, key: process.env.SSE_HUB_KEY })

/** A job, as a processor of BullMQ gets it. It may be done again from the start if the worker was killed. */
async function run({ id, user }) {
  for (let step = 1; step <= STEPS; step++) {
    await wait(tick)
    // The same key with the same content publishes nothing twice, in this attempt or in the next one.
    await hub.send(user, { event: 'step', data: { job: id, step, of: STEPS }, idempotencyKey: `${id}/${step}` })
  }
}

process.on('message', async (job) => {
  try {
    await run(job)
  } catch (error) {
    console.error(`job ${job.id} has failed`, error)
    // The app starts another worker, which does the job again.
    process.exit(1)
  }
  process.send('done')
})

process.once('SIGTERM', async () => {
  await hub.close({ within: 1_000 })
  process.exit()
})
// Ctrl-C reaches the worker, too; the app ends it.
process.on('SIGINT', () => {})
process.once('disconnect', () => process.exit())
