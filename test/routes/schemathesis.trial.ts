import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import Fastify from 'fastify'
import t from 'tap'
import { type HubAppOptions, hubApp } from '../../app.ts'
import { readApiKeys } from '../../standalone/read-api-keys.ts'
import { installPython } from '../support/python.ts'

t.setTimeout(600_000)

const KEY = 'k'.repeat(43)
const CHECKS = [
  'not_a_server_error',
  'status_code_conformance',
  'content_type_conformance',
  'response_headers_conformance',
  'response_schema_conformance'
]
const SEED = Number(process.env.SEED ?? 1)

const python = installPython(t, ['schemathesis==4.32.5'])

const open: HubAppOptions = {}
const locked: HubAppOptions = {
  authentication: { apiKeys: readApiKeys(`all:${KEY}:publish,read,close,ticket`) }
}

for (const [name, options, headers] of [
  ['an open hub', open, []],
  ['a locked hub', locked, ['-H', `Authorization: Bearer ${KEY}`]],
  ['a locked hub without credentials', locked, []]
] as const) {
  t.test(`schemathesis finds no answer of ${name} that is not documented, and none above 499`, async (t) => {
    if (python.missing !== false) {
      t.pass(python.missing, { skip: python.missing })
      return
    }
    const app = Fastify({ routerOptions: { maxParamLength: 768 }, forceCloseConnections: true })
    t.teardown(() => app.close())
    // Streams end soon, so that each call has an answer.
    await app.register(hubApp, { ...options, hub: { maxStreamAge: 500, openingRate: 0 } })
    const url = await app.listen({ host: '127.0.0.1', port: 0 })
    const args = [
      ...['run', `${url}/documentation/json`, '--checks', CHECKS.join(',')],
      ...['--phases', 'examples,coverage,fuzzing', '--max-examples', '25', '--seed', `${SEED}`, ...headers]
    ]
    t.comment(`seed ${SEED}`)
    const run = spawn(join(dirname(python.path), 'schemathesis'), args, {
      cwd: t.testdir(),
      env: { ...process.env, no_proxy: '*', NO_COLOR: '1' },
      stdio: ['ignore', 'pipe', 'inherit']
    })
    const [report, [code]] = await Promise.all([text(run.stdout), once(run, 'close')])
    // The report is long, and most of it is a moving bar.
    t.equal(code, 0, code === 0 ? 'no complaint' : report)
    const [, selected, tested] = /Selected: (\d+)\/\d+\s+Tested: (\d+)/.exec(report) ?? []
    t.equal(tested, selected, 'every operation was tested')
    t.ok(Number(tested) >= 20)
    t.comment(/(\d+) generated/.exec(report)?.[0] ?? '')
  })
}
