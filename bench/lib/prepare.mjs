import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'

const ROOT = join(import.meta.dirname, '..', '..')
const npm = (...args) => execFileSync('npm', args, { cwd: ROOT, stdio: 'inherit' })

/** Installs missing peers, and builds the hub, unless the existing `dist/` is to be measured. */
export function prepare({ build }) {
  if (!existsSync(join(ROOT, 'bench', 'node_modules'))) npm('ci', '--prefix', 'bench', '--no-audit', '--no-fund')
  if (build) npm('run', '-s', 'build')
}
