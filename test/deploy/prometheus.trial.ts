import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { parse, stringify } from 'yaml'
import { METRICS } from '../../services/metrics/catalogue.ts'
import { freePort } from '../support/free-port.ts'
import { startProgram, without } from '../support/programs.ts'
import { RedisServer, withoutRedis } from '../support/redis-server.ts'
import { publish, ServerProcess } from '../support/server-process.ts'
import { StreamClient } from '../support/stream-client.ts'
import { until } from '../support/test-node.ts'
import { SECRET, WebhookReceiver } from '../support/webhook-receiver.ts'

const DEPLOY = join(import.meta.dirname, '..', '..', 'deploy')
const PROMETHEUS = join(DEPLOY, 'prometheus')
const skip = without('promtool', { install: 'apt-get install prometheus' }) || withoutRedis
const JOB = 'fastify-sse-hub'

interface Panel {
  readonly title: string
  readonly targets?: { readonly expr: string }[]
}
const { panels, templating } = JSON.parse(readFileSync(join(DEPLOY, 'grafana', 'dashboard.json'), 'utf8')) as {
  panels: Panel[]
  templating: { list: { name: string; type: string; definition?: string }[] }
}

const rulesOf = (): { alert: string }[] =>
  parse(readFileSync(join(PROMETHEUS, 'alerts.yml'), 'utf8')).groups.flatMap(({ rules }: { rules: [] }) => rules)

const promtool = (args: string[], input = '') => {
  const { status, stdout, stderr } = spawnSync('promtool', args, { cwd: PROMETHEUS, encoding: 'utf8', input })
  return { status, output: stdout + stderr }
}

t.test(
  'promtool accepts the configuration and the rules, and the unit tests of the rules pass',
  { skip },
  async (t) => {
    const accepted = (...args: string[]) => {
      const { status, output } = promtool(args)
      t.equal(status, 0, `${args.join(' ')}: ${output}`)
    }
    accepted('check', 'config', '--syntax-only', 'prometheus.yml')
    accepted('check', 'rules', 'alerts.yml')
    accepted('test', 'rules', 'alerts.test.yml')
    const alerts = readFileSync(join(PROMETHEUS, 'alerts.test.yml'), 'utf8')
    for (const { alert } of rulesOf()) t.match(alerts, `{ labels: '{alertname="${alert}"}', value: 1 }`, alert)
  }
)

t.test('a Prometheus that scrapes two nodes evaluates every rule, panel and variable', { skip }, async (t) => {
  const redis = await RedisServer.start()
  t.teardown(() => redis.stop())
  const receiver = await WebhookReceiver.start(t)
  const settings = { HUB_STORE: redis.url, HUB_WEBHOOK_URL: receiver.url, HUB_WEBHOOK_SECRET: SECRET }
  const nodes = [new ServerProcess(t, settings), new ServerProcess(t, settings)]
  const urls = await Promise.all(nodes.map((node) => node.url()))
  const [first = '', second = ''] = urls
  const metrics = await (await fetch(`${first}/metrics`)).text()
  const { status, output } = promtool(['check', 'metrics'], metrics)
  const own = output.split('\n').filter((line) => line.startsWith('sse_hub'))
  t.same(own, [], `promtool has no advice for the metrics of the hub (${status})`)
  const client = await StreamClient.open(`${second}/events?user=alice`)
  t.teardown(() => client.cut())
  const prometheus = await startPrometheus(t, urls)
  // A rate needs two scrapes.
  for (let at = 0; at < 3; at++) {
    await publish(first, '/users/alice/events', at)
    await prometheus.scraped(urls.length)
  }
  const rules = await prometheus.ask('rules?type=alert')
  const evaluated = rules.groups.flatMap((group) => group.rules ?? [])
  t.equal(evaluated.length, rulesOf().length)
  for (const { name, health, lastError = '' } of evaluated) t.equal(`${health} ${lastError}`, 'ok ', name)
  const silent: string[] = []
  for (const { title, targets = [] } of panels)
    for (const { expr } of targets) {
      const query = expr.replaceAll('$__rate_interval', '1m').replaceAll(/\$(job|instance)/g, '.+')
      const { result } = await prometheus.ask(`query?${new URLSearchParams({ query })}`)
      // A panel of trouble is empty while all is well.
      if (result.length === 0 && !expr.endsWith('> 0')) silent.push(`${title}: ${expr}`)
    }
  t.same(silent, [], 'every panel has data')
  for (const { name, type, definition = '' } of templating.list.filter(({ type }) => type === 'query')) {
    const [, series = '', label = ''] = /^label_values\((.+), (\w+)\)$/.exec(definition) ?? []
    const match = new URLSearchParams({ 'match[]': series.replace('$job', '.+') })
    t.ok((await prometheus.ask<string[]>(`label/${label}/values?${match}`)).length > 0, `${type} ${name}`)
  }
  const stored = await prometheus.ask<string[]>('label/__name__/values')
  for (const { name, type } of METRICS) {
    const series = type === 'histogram' ? `${name}_bucket` : name
    t.ok(stored.includes(series), series)
  }
})

interface Answer {
  readonly groups: { rules?: { name: string; health: string; lastError?: string }[] }[]
  readonly result: { value: [number, string] }[]
}

/** A Prometheus with the configuration of `deploy/`, but for the targets, their credentials and the intervals. */
async function startPrometheus(t: Test, urls: readonly string[]) {
  const folder = mkdtempSync(join(tmpdir(), 'sse-hub-prometheus-'))
  const config = parse(readFileSync(join(PROMETHEUS, 'prometheus.yml'), 'utf8'))
  config.global = { scrape_interval: '1s', evaluation_interval: '1s' }
  delete config.scrape_configs[0].authorization
  config.scrape_configs[0].static_configs = [{ targets: urls.map((url) => new URL(url).host) }]
  writeFileSync(join(folder, 'prometheus.yml'), stringify(config))
  cpSync(join(PROMETHEUS, 'alerts.yml'), join(folder, 'alerts.yml'))
  const address = `127.0.0.1:${await freePort()}`
  const args = [`--web.listen-address=${address}`, '--config.file=prometheus.yml', `--storage.tsdb.path=${folder}/data`]
  const { child, complaints } = startProgram(t, ['prometheus', ...args], { folder })
  const ask = async <Data = Answer>(path: string): Promise<Data> => {
    const response = await fetch(`http://${address}/api/v1/${path}`)
    const { status, data, error } = (await response.json()) as { status: string; data: Data; error?: string }
    if (status !== 'success') throw new Error(`${path}: ${error}`)
    return data
  }
  const isReady = () =>
    fetch(`http://${address}/-/ready`).then(
      ({ ok }) => ok || undefined,
      () => undefined
    )
  await until(isReady, (ok) => ok === true || child.exitCode !== null, 'Prometheus to be ready')
  if (child.exitCode !== null) throw new Error(complaints())
  /** Resolves when each target was scraped once more. */
  const scraped = async (count: number) => {
    const query = new URLSearchParams({ query: `sum(count_over_time(up{job="${JOB}"}[10m]))` })
    const total = async () => Number((await ask(`query?${query}`)).result[0]?.value[1] ?? 0)
    const before = await total()
    await until(total, (now) => now >= before + 2 * count, 'scrapes')
    const evaluated = () => ask('rules?type=alert')
    const isEvaluated = ({ groups }: Answer) => groups[0]?.rules?.every(({ health }) => health !== 'unknown') === true
    await until(evaluated, isEvaluated, 'an evaluation of the rules')
  }
  return { ask, scraped }
}
