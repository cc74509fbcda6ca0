import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** The manifest is beside `plugins/` in the sources, and beside `dist/` in the package. */
const MANIFESTS = ['../package.json', '../../package.json']

/** The version of this package. */
export function packageVersion(): string {
  // Not at import: a host that is bundled as CommonJS has no `import.meta`.
  const path = MANIFESTS.map((name) => join(import.meta.dirname, name)).find((name) => existsSync(name))
  return path === undefined ? 'unknown' : (JSON.parse(readFileSync(path, 'utf8')) as { version: string }).version
}
