import fc from 'fast-check'
import t from 'tap'
import { compareNames } from '../../services/events/utf8-order.ts'
import { OrderedNames } from '../../services/streams/ordered-names.ts'
import { Random } from '../support/random.ts'
import { startHub } from '../support/test-hub.ts'

const seed = Number(process.env.TEST_SEED ?? Date.now() % 2 ** 31)
t.comment(`TEST_SEED=${seed}`)

t.test('names stay in order through any additions and deletions', async (t) => {
  const name = fc.string({ unit: fc.constantFrom('a', 'b', 'é', '\uffff', '😀'), maxLength: 3 })
  const change = fc.record({ isAdded: fc.boolean(), name })
  const property = fc.property(fc.array(change, { maxLength: 200 }), name, fc.nat(9), (changes, after, limit) => {
    const names = new OrderedNames()
    const model = new Set<string>()
    for (const { isAdded, name } of changes) {
      if (isAdded) {
        names.add(name)
        model.add(name)
      } else {
        names.delete(name)
        model.delete(name)
      }
    }
    const all = [...model].sort(compareNames)
    const expected = all.filter((each) => compareNames(each, after) > 0).slice(0, limit)
    return JSON.stringify(names.after(after, limit)) === JSON.stringify(expected)
  })
  const result = fc.check(property, { seed, numRuns: 1_000 })
  t.notOk(result.failed, fc.defaultReportMessage(result) ?? 'holds')
})

t.test('the cost of a page and of a change does not depend on 50,000 names', async (t) => {
  let compared = 0
  const names = new OrderedNames((one, other) => {
    compared++
    return compareNames(one, other)
  })
  const random = new Random(seed)
  const retained = new Set<string>()
  const nameOf = () => `user${random.from(0, 199_999)}`
  while (retained.size < 50_000) {
    const name = nameOf()
    retained.add(name)
    names.add(name)
  }
  for (const name of [...retained]) {
    if (random.from(0, 3) > 0) continue
    retained.delete(name)
    names.delete(name)
  }
  const all = [...retained].sort(compareNames)
  t.same(names.after('', all.length + 1), all)
  for (let turn = 0; turn < 100; turn++) {
    const after = nameOf()
    compared = 0
    const page = names.after(after, 100)
    t.ok(compared < 60, `${compared} comparisons`)
    const from = all.findIndex((each) => compareNames(each, after) > 0)
    t.same(page, from < 0 ? [] : all.slice(from, from + 100))
    compared = 0
    names.add(after)
    t.ok(compared < 60, `${compared} comparisons`)
    if (!retained.has(after)) names.delete(after)
  }
})

t.test('online users are listed in pages, each once, while streams open and close', async (t) => {
  const { hub, open } = await startHub(t)
  const sinks = Array.from({ length: 60 }, (_, at) => open({ user: `user${at % 20}` }).sink)
  for (const sink of sinks.slice(0, 50)) sink.disconnect()
  const seen: object[] = []
  for (let after: string | undefined = ''; after !== undefined; ) {
    const page: Awaited<ReturnType<typeof hub.online>> = await hub.online({ after, limit: 3 })
    seen.push(...page.users)
    after = page.next ?? undefined
  }
  t.same(
    seen,
    Array.from({ length: 10 }, (_, at) => ({ user: `user${at + 10}`, streams: 1 }))
  )
})
