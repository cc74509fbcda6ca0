import t from 'tap'
import { redisLog } from '../../services/event-log/redis/open-redis-log.ts'
import { effort } from '../support/effort.ts'
import {
  FENCE,
  Publisher,
  pause,
  type Server,
  Subscriber,
  startServer,
  TOPICS,
  UNBOUNDED,
  USERS
} from '../support/exactly-once.ts'
import { judge } from '../support/oracle.ts'
import { Random } from '../support/random.ts'
import { RedisServer, withoutRedis } from '../support/redis-server.ts'

/** Minimum duration of publishing, in milliseconds, and how long Redis is away in the middle of it. */
const DURATION = Number(process.env.EXACTLY_ONCE_MS ?? effort(3_000, 30_000))
const AWAY = 500
const DELIVERIES = 1_000
const SEED = Number(process.env.EXACTLY_ONCE_SEED ?? Date.now() % 1_000_000)
const STREAMS = 40
const PUBLISHERS = 4

t.setTimeout(DURATION + 110_000)

t.test(
  `${STREAMS} streams that move between two nodes get every event once and in order, though Redis is killed meanwhile`,
  { skip: withoutRedis },
  async (t) => {
    t.comment(`EXACTLY_ONCE_MS=${DURATION} EXACTLY_ONCE_SEED=${SEED}`)
    const redis = await RedisServer.start({ isDurable: true })
    t.teardown(() => redis.stop())
    const servers = await Promise.all(
      [0, 1].map(async () => startServer({ log: await redisLog({ url: redis.url, retention: UNBOUNDED }) }))
    )
    t.teardown(() => Promise.all(servers.map(({ app }) => app.close())))
    const random = new Random(SEED)
    const subscribers = Array.from({ length: STREAMS }, (_, at) => {
      const topics = TOPICS.filter(() => random.chance(0.25))
      return new Subscriber(servers, USERS[at % USERS.length] as string, topics, new Random(SEED + at))
    })
    const publishers = Array.from(
      { length: PUBLISHERS },
      (_, at) => new Publisher(servers, `p${at}`, new Random(SEED + 1_000 + at))
    )
    for (const subscriber of subscribers) await subscriber.connect()

    const begin = performance.now()
    const resumes = () => subscribers.reduce((sum, subscriber) => sum + subscriber.resumes, 0)
    const refusals = () => publishers.reduce((sum, publisher) => sum + publisher.refusals, 0)
    const received = () => subscribers.reduce((sum, subscriber) => sum + subscriber.received, 0)
    const isBusy = () => refusals() > 0 && resumes() > STREAMS && received() > DELIVERIES
    const isOver = () => performance.now() - begin > DURATION && isBusy()
    const outage = async () => {
      await pause(DURATION / 3)
      await redis.kill()
      await pause(AWAY)
      await redis.start()
    }
    await Promise.all([
      outage(),
      ...publishers.map((publisher) => publisher.publish(isOver)),
      ...subscribers.map((subscriber) => subscriber.live(isOver))
    ])
    const { sse } = (servers[0] as Server).app
    while (!(await sse.ready())) await pause(10)
    const { id } = await sse.broadcast({ data: FENCE })
    await Promise.all(subscribers.map((subscriber) => subscriber.rest()))

    const fence = { id, channels: ['everyone'], data: FENCE, at: performance.now() }
    const published = [...publishers.flatMap(({ log }) => log), fence]
    const { complaints, deliveries, ...faults } = judge(
      published,
      subscribers.flatMap(({ log }) => log)
    )
    const figures = Object.entries({
      published: published.length,
      deliveries,
      resumes: resumes(),
      refusals: refusals(),
      ...faults
    })
    t.comment(figures.map(([name, count]) => `${name} ${count}`).join(', '))
    t.same(complaints, [])
    t.same(faults, { lost: 0, doubled: 0, outOfOrder: 0, falseGaps: 0, foreign: 0, altered: 0 })
    t.ok(isBusy(), 'the run had events')
  }
)
