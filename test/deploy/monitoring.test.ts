import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parser } from '@prometheus-io/lezer-promql'
import Fastify from 'fastify'
import t from 'tap'
import { parse } from 'yaml'
import { hubApp } from '../../app.ts'
import { METRICS } from '../../services/metrics/catalogue.ts'

const DEPLOY = join(import.meta.dirname, '..', '..', 'deploy')
const read = (...path: string[]) => readFileSync(join(DEPLOY, ...path), 'utf8')

interface Panel {
  readonly title: string
  readonly type: string
  readonly gridPos: { x: number; y: number; w: number; h: number }
  readonly targets?: { expr: string }[]
}
interface Rule {
  readonly alert: string
  readonly expr: string
  readonly labels: { severity: string }
  readonly annotations: { summary: string; description: string }
}

const dashboard = JSON.parse(read('grafana', 'dashboard.json'))
const panels: Panel[] = dashboard.panels
const rules: Rule[] = parse(read('prometheus', 'alerts.yml')).groups.flatMap(({ rules }: { rules: Rule[] }) => rules)

const queries = [
  ...panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => ({ where: title, expr }))),
  ...rules.map(({ alert, expr }) => ({ where: alert, expr }))
].map(({ where, expr }) => ({ where, expr: expr.replaceAll('$__rate_interval', '1m') }))

/** The text of each node of a kind in a query. */
function partsOf(expr: string, kind: string): string[] {
  const parts: string[] = []
  parser.parse(expr).iterate({
    enter: ({ name, from, to }) => {
      if (name === kind) parts.push(expr.slice(from, to))
    }
  })
  return parts
}

t.test('every query of the dashboard and of the alert rules is PromQL', async (t) => {
  t.ok(queries.length > 40)
  for (const { where, expr } of queries) t.same(partsOf(expr, '⚠'), [], `${where}: ${expr}`)
  t.not(partsOf('sum(', '⚠').length, 0, 'the parser finds mistakes')
})

t.test('every metric and label of a query exists, and a counter is read as a rate', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(hubApp)
  const { payload } = await app.inject('/metrics')
  const types = new Map([...payload.matchAll(/^# TYPE (\w+) (\w+)$/gm)].map(([, name, type]) => [name, type]))
  types.set('up', 'gauge')
  const labelsOf = new Map(METRICS.map(({ name, labels = [] }) => [name, labels]))
  const used = new Set<string>()
  for (const { where, expr } of queries) {
    const names = partsOf(expr, 'VectorSelector').map((selector) => selector.replace(/\{.*/s, ''))
    t.ok(names.length > 0, where)
    for (const name of names) {
      const metric = types.has(name) ? name : name.replace(/_(bucket|sum|count)$/, '')
      t.ok(types.has(metric), `${where}: ${name}`)
      used.add(metric)
      if (name.endsWith('_total') || name.endsWith('_bucket'))
        t.match(expr, new RegExp(`(rate|increase)\\(${name}[^)]*\\[`), `${where}: ${name} as a rate`)
    }
    const known = ['job', 'instance', 'le', ...names.flatMap((name) => labelsOf.get(name) ?? [])]
    for (const label of partsOf(expr, 'LabelName')) t.ok(known.includes(label), `${where}: ${label}`)
  }
  const shown = METRICS.filter(({ name }) => !used.has(name)).map(({ name }) => name)
  t.ok(shown.length < METRICS.length / 4, `hardly any metric is not shown: ${shown}`)
})

t.test('the panels of the dashboard do not overlap', async (t) => {
  const taken = new Set<string>()
  for (const { title, gridPos } of panels) {
    for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
      for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
        t.notOk(taken.has(`${x} ${y}`) || x >= 24, title)
        taken.add(`${x} ${y}`)
      }
    }
  }
})

t.test('every alert has a severity, a summary, and a description that names the node', async (t) => {
  t.equal(new Set(rules.map(({ alert }) => alert)).size, rules.length)
  for (const { alert, labels, annotations } of rules) {
    t.match(labels.severity, /^(critical|warning)$/, alert)
    t.ok(annotations.summary, alert)
    t.match(annotations.description, /\$labels\.(instance|job)/, alert)
  }
})
