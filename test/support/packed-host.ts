import { execFile } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Test } from 'tap'

const run = promisify(execFile)

export const ROOT = join(import.meta.dirname, '..', '..')
/** The path of a program among this package's own dependencies. */
export const bin = (name: string): string => join(ROOT, 'node_modules', '.bin', name)

/** A folder of a host with the packed package, installed as from the registry, and the files of the fixture. */
export async function packedHost(t: Test): Promise<{ host: string; tarball: string; fastify: string }> {
  const host = mkdtempSync(join(tmpdir(), 'sse-hub-host-'))
  t.teardown(() => rmSync(host, { recursive: true, force: true }))
  const { devDependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
  const { stdout } = await run('npm', ['pack', '--silent', '--pack-destination', host], { cwd: ROOT })
  const tarball = join(host, stdout.trim().split('\n').at(-1) as string)
  cpSync(join(ROOT, 'test', 'package', 'fixture'), host, { recursive: true })
  writeFileSync(join(host, 'package.json'), JSON.stringify({ name: 'host', private: true }))
  const fastify = `fastify@${devDependencies.fastify}`
  await install(host, tarball, fastify, `@types/node@${devDependencies['@types/node']}`)
  return { host, tarball, fastify }
}

/** A folder with the package of the standalone server, installed as `npx` installs it. */
export async function packedServer(t: Test, tarball: string): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'sse-hub-server-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const cwd = join(ROOT, 'server-package')
  const { stdout } = await run('npm', ['pack', '--silent', '--pack-destination', folder], { cwd })
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'server', private: true }))
  await install(folder, tarball, join(folder, stdout.trim().split('\n').at(-1) as string))
  return folder
}

/** Adds packages to a host. */
export async function install(host: string, ...packages: string[]): Promise<void> {
  await run('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund', ...packages], { cwd: host })
}
