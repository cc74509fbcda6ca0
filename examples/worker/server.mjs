// The app: a hub that a worker in another process publishes to, and a queue of jobs.
import { fork } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import Fastify from 'fastify'
import sseHub, { hubRoutes } from 'fastify-sse-hub'
import { pages } from '../pages/pages.mjs'

/** Jobs that wait, and attempts at one of them. */
const [MAX_JOBS, MAX_ATTEMPTS] = [100, 3]
/** Milliseconds until a worker that has ended is replaced: one that cannot start must not keep the machine busy. */
const RESTART_DELAY = 500

const key = process.env.WORKER_KEY ?? randomUUID()
const app = Fastify({ logger: { level: 'warn' } })
await app.register(sseHub)
await app.register(pages, { folder: import.meta.dirname })
// The worker publishes here, and no one else.
await app.register(hubRoutes, {
  prefix: '/hub-api',
  authenticate: () => ({ user: 'alice' }),
  authorize: ({ headers }, { verb }) => verb === 'publish' && headers.authorization === `Bearer ${key}`,
  publisherOf: () => 'worker'
})

// The list and the messages between the processes stand for a queue such as BullMQ: a job stays until it is done.
const jobs = []
app.post('/jobs', async (_request, reply) => {
  if (jobs.length >= MAX_JOBS) return reply.code(503).send({ message: 'Too many jobs wait' })
  const job = { id: randomUUID(), user: 'alice' }
  if (jobs.push({ job, attempts: 0 }) === 1) startJob()
  return reply.code(202).send(job)
})
app.post('/worker/kill', async () => ({ killed: worker.kill('SIGKILL') }))

let worker
let isClosing = false
let restart

/** Starts the first job, unless the worker is gone: the next one starts it. */
function startJob() {
  if (jobs.length === 0 || !worker.connected) return
  jobs[0].attempts++
  worker.send(jobs[0].job)
}

function startWorker(url) {
  worker = fork(join(import.meta.dirname, 'worker.mjs'), {
    env: { ...process.env, SSE_HUB_URL: url, SSE_HUB_KEY: key }
  })
  worker.on('message', () => {
    jobs.shift()
    startJob()
  })
  worker.on('error', (error) => app.log.error(error, 'the worker could not be reached'))
  worker.on('exit', (code, signal) => {
    if (isClosing) return
    app.log.warn(`the worker has ended (${signal ?? code})`)
    if (jobs[0]?.attempts >= MAX_ATTEMPTS) app.log.error(`job ${jobs.shift().job.id} is given up`)
    restart = setTimeout(startWorker, RESTART_DELAY, url)
  })
  startJob()
}

app.addHook('preClose', async () => {
  isClosing = true
  clearTimeout(restart)
  worker.kill()
})

for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => app.close())
await app.listen({ port: Number(process.env.PORT ?? 3000) })
const url = `http://127.0.0.1:${app.server.address().port}/`
startWorker(`${url}hub-api`)
console.log(`open ${url}`)
