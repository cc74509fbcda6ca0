import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { compiledHub } from './compiled-hub.ts'
import { ROOT } from './packed-host.ts'

/** A folder of a host with its own files, in which the package resolves as if it were installed. Faster than npm. */
export async function linkedHost(t: Test, files: string): Promise<string> {
  mkdirSync(join(ROOT, '.tap'), { recursive: true })
  const host = mkdtempSync(join(ROOT, '.tap', 'linked-host-'))
  t.teardown(() => rmSync(host, { recursive: true, force: true }))
  const installed = join(host, 'node_modules', 'fastify-sse-hub')
  mkdirSync(installed, { recursive: true })
  cpSync(join(ROOT, 'package.json'), join(installed, 'package.json'))
  symlinkSync(await compiledHub(), join(installed, 'dist'))
  cpSync(files, host, { recursive: true })
  // A package of its own: within this package, its name would resolve to the last build in `dist`.
  writeFileSync(join(host, 'package.json'), JSON.stringify({ name: 'host', type: 'module' }))
  return host
}
