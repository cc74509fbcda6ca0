import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import Fastify from 'fastify'
import t, { type Test } from 'tap'
import { parse, parseAllDocuments } from 'yaml'
import { hubApp } from '../../app.ts'
import { readServeRequest } from '../../standalone/cli/serve.ts'
import { readEnvironment } from '../../standalone/environment.ts'
import { without } from '../support/programs.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const DEPLOY = join(ROOT, 'deploy')
const read = (...path: string[]) => readFileSync(join(DEPLOY, ...path), 'utf8')
const KEY = 'k'.repeat(43)

interface Service {
  readonly build?: { context: string; dockerfile: string }
  readonly environment?: Record<string, string>
  readonly ports?: string[]
  readonly volumes?: string[]
  readonly secrets?: string[]
  readonly depends_on?: string[]
  readonly stop_grace_period?: string
  readonly read_only?: boolean
}

interface Compose {
  readonly services: Record<string, Service>
  readonly secrets: Record<string, { file: string }>
  readonly volumes: Record<string, object>
}

/** Reads the settings of a deployment as the hub does, with files of a test in place of its secrets. */
function settingsOf(t: Test, environment: Record<string, string>): ReturnType<typeof readEnvironment> {
  const folder = t.testdir({ api_keys: `backend:${KEY}:publish`, jwt_secret: 's'.repeat(43), store: 'memory' })
  const entries = Object.entries(environment).map(([name, value]): [string, string] => [
    name,
    name.endsWith('_FILE') ? join(folder, value.split('/').at(-1) as string) : value
  ])
  return readEnvironment(Object.fromEntries(entries))
}

const dockerfile = read('Dockerfile')
const instructions = dockerfile
  .replaceAll('\\\n', ' ')
  .split('\n')
  .filter((line) => /^[A-Z]/.test(line))

t.test('the image runs as a user without rights, from stages that exist, with files that exist', async (t) => {
  const stages = instructions.flatMap((line) => / AS (\w+)$/.exec(line)?.[1] ?? [])
  for (const line of instructions.filter((instruction) => instruction.startsWith('COPY'))) {
    const stage = /--from=(\w+)/.exec(line)?.[1]
    if (stage !== undefined) t.ok(stages.includes(stage), line)
    else for (const path of line.split(' ').slice(1, -1)) t.ok(existsSync(join(ROOT, path)), line)
  }
  for (const line of instructions)
    t.match(line, /^(FROM|WORKDIR|COPY|RUN|ENV|USER|VOLUME|EXPOSE|HEALTHCHECK|STOPSIGNAL|ENTRYPOINT) /)
  const last = instructions.slice(instructions.findLastIndex((line) => line.startsWith('FROM')))
  t.ok(last.indexOf('USER 1000:1000') > 0)
  t.ok(last.indexOf('USER 1000:1000') < last.findIndex((line) => line.startsWith('ENTRYPOINT')))
  t.ok(last.includes('ENTRYPOINT ["node", "/app/bin.js"]'), 'the hub itself receives signals')
  t.ok(last.includes('EXPOSE 3000'))
  const variables = Object.fromEntries(
    (last.find((line) => line.startsWith('ENV ')) ?? '')
      .split(' ')
      .slice(1)
      .map((pair) => pair.split('='))
  )
  t.match(readEnvironment({ ...variables, HUB_AUTH: 'none' }), { host: '0.0.0.0', port: 3000, store: '/data' })
  const build = readFileSync(join(DEPLOY, 'Dockerfile.dockerignore'), 'utf8').split('\n')
  for (const needed of ['scripts', 'server-package', 'services', 'public', 'client'])
    t.notOk(build.includes(needed), `${needed} is part of the build`)
})

for (const name of ['compose.yml', 'compose.cluster.yml']) {
  t.test(`${name} names files, secrets, volumes and services that exist, and settings that are valid`, async (t) => {
    const { services, secrets, volumes } = parse(read(name), { merge: true }) as Compose
    for (const [service, of] of Object.entries(services)) {
      if (of.build !== undefined) t.ok(existsSync(join(DEPLOY, of.build.context, of.build.dockerfile)), service)
      for (const secret of of.secrets ?? []) t.ok(secret in secrets, `${service}: ${secret}`)
      for (const other of of.depends_on ?? []) t.ok(other in services, `${service}: ${other}`)
      for (const [source = ''] of (of.volumes ?? []).map((volume) => volume.split(':')))
        t.ok(source.startsWith('.') ? existsSync(join(DEPLOY, source)) : source in volumes, `${service}: ${source}`)
      if (of.environment === undefined) continue
      for (const value of Object.values(of.environment)) {
        if (!value.startsWith('/run/secrets/')) continue
        t.ok(of.secrets?.includes(value.slice('/run/secrets/'.length)), `${service}: ${value}`)
      }
      const { drainDelay, authentication } = settingsOf(t, { HOST: '0.0.0.0', ...of.environment })
      t.ok(authentication)
      t.ok(of.read_only)
      t.ok(Number.parseInt(of.stop_grace_period ?? '', 10) * 1_000 > drainDelay + 10_000, 'a stop may take ten seconds')
    }
    for (const { file } of Object.values(secrets)) t.match(file, /^\.\/secrets\//, 'and no secret is in the repository')
  })
}

t.test('Prometheus and Grafana of the cluster read the files and the services that they name', async (t) => {
  const { services } = parse(read('compose.cluster.yml'), { merge: true }) as Compose
  const prometheus = parse(read('prometheus', 'prometheus.yml'))
  for (const file of prometheus.rule_files) t.ok(existsSync(join(DEPLOY, 'prometheus', file)))
  const [scrape] = prometheus.scrape_configs
  for (const target of scrape.static_configs[0].targets) t.ok(target.replace(':3000', '') in services, target)
  t.ok(services.prometheus?.secrets?.includes(scrape.authorization.credentials_file.split('/').at(-1)))
  const { datasources } = parse(read('grafana', 'provisioning', 'datasource.yml'))
  t.equal(new URL(datasources[0].url).hostname in services, true)
  const { providers } = parse(read('grafana', 'provisioning', 'dashboards.yml'))
  t.ok(services.grafana?.volumes?.some((volume) => volume.includes(`:${providers[0].options.path}/`)))
})

t.test('nginx accepts the configuration of the cluster', { skip: without('nginx', { version: '-v' }) }, async (t) => {
  const folder = t.testdir({ logs: {} })
  const path = join(folder, 'nginx.conf')
  // The names of the nodes are those of containers.
  const conf = read('nginx', 'hub.conf')
    .replaceAll(/hub-\d/g, '127.0.0.1')
    .replace('listen 80', 'listen 127.0.0.1:1')
  writeFileSync(path, `pid ${folder}/pid;\nevents {}\nhttp {\n${conf}}\n`)
  const { status, stderr } = spawnSync('nginx', ['-t', '-p', folder, '-c', path, '-e', 'stderr'], { encoding: 'utf8' })
  t.equal(status, 0, stderr)
})

t.test('the manifests of Kubernetes fit each other, the image and the probes', async (t) => {
  const documents = parseAllDocuments(read('kubernetes', 'hub.yaml'))
  for (const { errors } of documents) t.same(errors, [])
  const byKind = new Map(documents.map((document) => document.toJS()).map((object) => [object.kind, object]))
  const { Deployment: deployment, Service: service, PodDisruptionBudget: budget } = Object.fromEntries(byKind)
  const scaler = byKind.get('HorizontalPodAutoscaler')
  const { template, selector } = deployment.spec
  const { labels } = template.metadata
  for (const selected of [selector.matchLabels, service.spec.selector, budget.spec.selector.matchLabels])
    t.same(selected, labels)
  t.equal(scaler.spec.scaleTargetRef.name, deployment.metadata.name)
  const [hub] = template.spec.containers
  t.equal(hub.ports[0].containerPort, 3000)
  t.equal(service.spec.ports[0].targetPort, hub.ports[0].name)
  t.equal(template.metadata.annotations['prometheus.io/port'], '3000')

  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(hubApp)
  for (const path of [
    hub.livenessProbe.httpGet.path,
    hub.readinessProbe.httpGet.path,
    template.metadata.annotations['prometheus.io/path']
  ])
    t.equal((await app.inject(path)).statusCode, 200, path)
  const metric = scaler.spec.metrics.find(({ type }: { type: string }) => type === 'Pods').pods.metric.name
  t.match((await app.inject('/metrics')).payload, `# TYPE ${metric} gauge`)

  const environment = Object.fromEntries(
    hub.env.map(({ name, value }: { name: string; value: string }) => [name, value])
  )
  const { drainDelay, authentication } = settingsOf(t, { HOST: '0.0.0.0', ...environment })
  t.ok(authentication)
  const preStop = Number(hub.lifecycle.preStop.exec.command[1]) * 1_000
  t.ok(template.spec.terminationGracePeriodSeconds * 1_000 > preStop + drainDelay + 10_000)
  for (const value of Object.values(environment).filter((text) => String(text).startsWith('/run/')))
    t.ok(
      hub.volumeMounts.some(({ mountPath }: { mountPath: string }) => dirname(String(value)) === mountPath),
      String(value)
    )
  const volumes = template.spec.volumes.map(({ name }: { name: string }) => name)
  for (const { name } of hub.volumeMounts) t.ok(volumes.includes(name))
  t.match(template.spec.securityContext, { runAsNonRoot: true })
  t.match(hub.securityContext, { readOnlyRootFilesystem: true, allowPrivilegeEscalation: false })
})

t.test('the systemd unit runs the program of the server package, with settings that exist', async (t) => {
  const lines = read('systemd', 'fastify-sse-hub.service').split('\n')
  const sections = lines.filter((line) => line.startsWith('['))
  t.same(sections, ['[Unit]', '[Service]', '[Install]'])
  for (const line of lines.filter((text) => text !== '' && !/^[#[]/.test(text))) t.match(line, /^[A-Z]\w+=/)
  const { bin } = JSON.parse(readFileSync(join(ROOT, 'server-package', 'package.json'), 'utf8'))
  const programs = lines
    .filter((line) => /^ExecStart(Pre)?=/.test(line))
    .map((line) => line.split('=')[1]?.split(' ').slice(1))
  t.equal(programs.length, 2)
  for (const [program = '', ...args] of programs as string[][]) {
    t.ok(program in bin, program)
    t.match(
      readServeRequest(
        args.filter((argument) => argument !== 'check'),
        {}
      ),
      { action: 'serve' }
    )
  }
  const environment = lines
    .filter((line) => line.startsWith('Environment='))
    .flatMap((line) => line.slice('Environment='.length).split(' '))
    .map((pair): [string, string] => [pair.split('=')[0] as string, pair.split('=')[1] as string])
  const credentials = lines.flatMap((line) => /^LoadCredential=(\w+):/.exec(line)?.[1] ?? [])
  for (const [name, value] of environment)
    if (name.endsWith('_FILE')) t.ok(credentials.includes(value.replace('%d/', '')), name)
  t.ok(settingsOf(t, Object.fromEntries(environment)).authentication)
})

t.test('every file of the folder is named in the documentation', async (t) => {
  const documentation = readFileSync(join(ROOT, 'docs', 'operations.md'), 'utf8')
  for (const name of readdirSync(DEPLOY)) {
    if (name.startsWith('Dockerfile.') || name === 'secrets') continue
    t.ok(documentation.includes(`../deploy/${name}`), name)
  }
})
