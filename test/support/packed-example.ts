import { execFile } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Test } from 'tap'
import { compiledHub } from './compiled-hub.ts'
import { install, ROOT } from './packed-host.ts'

const run = promisify(execFile)

/**
 * A folder with examples that have packages of their own, installed from the registry beside the packed hub. The tarball is made
 * of a build that no other test replaces meanwhile.
 */
export async function packedExamples(t: Test, ...names: string[]): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'sse-hub-examples-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const source = join(folder, 'package')
  mkdirSync(source)
  const { scripts: _, ...description } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
  writeFileSync(join(source, 'package.json'), JSON.stringify(description))
  cpSync(await compiledHub(), join(source, 'dist'), { recursive: true })
  const { stdout } = await run('npm', ['pack', '--silent', '--pack-destination', folder], { cwd: source })
  const tarball = join(folder, stdout.trim())

  const host = join(folder, 'host')
  const dependencies: Record<string, string> = {}
  for (const name of [...names, 'pages']) cpSync(join(ROOT, 'examples', name), join(host, name), { recursive: true })
  for (const name of names) {
    const own = JSON.parse(readFileSync(join(host, name, 'package.json'), 'utf8'))
    Object.assign(dependencies, own.dependencies, own.devDependencies)
  }
  dependencies['fastify-sse-hub'] = tarball
  writeFileSync(join(host, 'package.json'), JSON.stringify({ private: true, type: 'module', dependencies }))
  await install(host)
  return host
}
