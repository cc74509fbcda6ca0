import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { compiledHub } from './compiled-hub.ts'
import { ROOT } from './packed-host.ts'

/** A folder of a host with files of its own, in which the package is found as if it were installed. Quicker than npm. */
export async function linkedHost(t: Test, files: string): Promise<string> {
  mkdirSync(join(ROOT, '.tap'), { recursive: true })
  const host = mkdtempSync(join(ROOT, '.tap', 'linked-host-'))
  t.teardown(() => rmSync(host, { recursive: true, force: true }))
  const installed = join(host, 'node_modules', 'fastify-sse-hub')
  mkdirSync(installed, { recursive: true })
  cpSync(join(ROOT, 'package.json'), join(installed, 'package.json'))
  symlinkSync(await compiledHub(), join(installed, 'dist'))
  cpSync(files, host, { recursive: true })
  // A package of its own: within this one, its name would stand for `dist`, as it was built last.
  writeFileSync(join(host, 'package.json'), JSON.stringify({ name: 'host', type: 'module' }))
  return host
}
