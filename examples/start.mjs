// Starts an example by its name: `npm run example minimal`. Without a name it lists all.
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const folderOf = (name) => join(import.meta.dirname, name)
const fileOf = (name, file) => join(folderOf(name), file)
const names = readdirSync(import.meta.dirname).filter((name) => existsSync(fileOf(name, 'README.md')))
const { 2: name } = process.argv

if (!names.includes(name)) {
  console.log('npm run example NAME, where NAME is one of:\n')
  for (const each of names) console.log(`  ${each.padEnd(18)} ${titleOf(each)}`)
  process.exitCode = name === undefined ? 0 : 1
} else if (existsSync(fileOf(name, 'package.json'))) startPackage(folderOf(name))
else await import(`./${name}/server.mjs`)

/** An example with packages of its own is installed at its first start. */
function startPackage(cwd) {
  const shell = process.platform === 'win32'
  if (!existsSync(join(cwd, 'node_modules'))) {
    const { status } = spawnSync('npm', ['install', '--no-audit', '--no-fund'], { cwd, shell, stdio: 'inherit' })
    if (status !== 0) process.exit(1)
  }
  const child = spawn('npm', ['start', '--silent'], { cwd, shell, stdio: 'inherit' })
  for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => child.kill(signal))
  child.on('exit', (code, signal) => {
    process.exitCode = signal === null ? code : 1
  })
}

function titleOf(each) {
  const [, title] = /^# (.+)$/m.exec(readFileSync(fileOf(each, 'README.md'), 'utf8')) ?? []
  return title
}
