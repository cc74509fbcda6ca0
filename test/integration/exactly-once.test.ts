import t from 'tap'
import { effort } from '../support/effort.ts'
import { FENCE, Publisher, Subscriber, startServer, TOPICS, UNBOUNDED, USERS } from '../support/exactly-once.ts'
import { judge } from '../support/oracle.ts'
import { Random } from '../support/random.ts'

/** Minimum duration of publishing, in milliseconds, and minimum work before it stops. */
const DURATION = Number(process.env.EXACTLY_ONCE_MS ?? effort(2_000, 30_000))
const DELIVERIES = 10_000
const SEED = Number(process.env.EXACTLY_ONCE_SEED ?? Date.now() % 1_000_000)
const STREAMS = 60
const PUBLISHERS = 6

t.setTimeout(DURATION + 110_000)

t.test(
  `${STREAMS} streams that are cut at random get every event once and in order from ${PUBLISHERS} publishers`,
  async (t) => {
    t.comment(`EXACTLY_ONCE_MS=${DURATION} EXACTLY_ONCE_SEED=${SEED}`)
    const server = await startServer({ retention: UNBOUNDED })
    t.teardown(() => server.app.close())
    const random = new Random(SEED)
    const subscribers = Array.from({ length: STREAMS }, (_, at) => {
      const topics = TOPICS.filter(() => random.chance(0.25))
      return new Subscriber([server], USERS[at % USERS.length] as string, topics, new Random(SEED + at))
    })
    const publishers = Array.from(
      { length: PUBLISHERS },
      (_, at) => new Publisher([server], `p${at}`, new Random(SEED + 1_000 + at))
    )
    for (const subscriber of subscribers) await subscriber.connect()

    const begin = performance.now()
    const resumes = () => subscribers.reduce((sum, subscriber) => sum + subscriber.resumes, 0)
    const received = () => subscribers.reduce((sum, subscriber) => sum + subscriber.received, 0)
    const isOver = () => performance.now() - begin > DURATION && received() > DELIVERIES && resumes() > STREAMS
    await Promise.all([
      ...publishers.map((publisher) => publisher.publish(isOver)),
      ...subscribers.map((subscriber) => subscriber.live(isOver))
    ])
    const { id } = await server.app.sse.broadcast({ data: FENCE })
    await Promise.all(subscribers.map((subscriber) => subscriber.rest()))

    const fence = { id, channels: ['everyone'], data: FENCE, at: performance.now() }
    const published = [...publishers.flatMap(({ log }) => log), fence]
    const { complaints, deliveries, ...faults } = judge(
      published,
      subscribers.flatMap(({ log }) => log)
    )
    const figures = Object.entries({ published: published.length, deliveries, resumes: resumes(), ...faults })
    t.comment(figures.map(([name, count]) => `${name} ${count}`).join(', '))
    t.same(complaints, [])
    t.same(faults, { lost: 0, doubled: 0, outOfOrder: 0, falseGaps: 0, foreign: 0, altered: 0 })
    t.ok(resumes() > STREAMS && deliveries > DELIVERIES, 'the run had events')
  }
)
