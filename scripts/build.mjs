import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { buildConsole } from './build-console.mjs'
import { bundleClient } from './bundle-client.mjs'

/**
 * Compiles the package into a folder, `dist` unless another is named. Modules named `…-lua.ts`, which read Lua files at
 * run time, become modules that hold the text, so that a bundle of a host has no file to look for. The browser client becomes
 * ES modules that a page can load as they are, and the console a folder of files that are served as they are.
 */
const ROOT = join(import.meta.dirname, '..')
const { 2: folder = join(ROOT, 'dist') } = process.argv

// Hubs that run from the sources, as in tests, read the console of the last build at any moment.
const CONSOLE = 'console'
for (const name of existsSync(folder) ? readdirSync(folder) : [])
  if (name !== CONSOLE) rmSync(join(folder, name), { recursive: true, force: true })
const compiler = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc')
execFileSync(process.execPath, [compiler, '-p', 'tsconfig.build.json', '--outDir', folder], {
  cwd: ROOT,
  stdio: 'inherit'
})
await bundleClient(folder)
await buildConsole(join(folder, CONSOLE))
for (const path of foldersWithLua('services')) embed(path)

function foldersWithLua(path) {
  const entries = readdirSync(join(ROOT, path), { withFileTypes: true })
  const below = entries.filter((entry) => entry.isDirectory()).flatMap(({ name }) => foldersWithLua(join(path, name)))
  return entries.some(({ name }) => name.endsWith('.lua')) ? [path, ...below] : below
}

function embed(path) {
  const names = readdirSync(join(ROOT, path))
  const module = names.find((name) => name.endsWith('-lua.ts'))
  if (module === undefined) throw new Error(`${path} has Lua files and no module …-lua.ts that reads them`)
  const files = names.filter((name) => name.endsWith('.lua'))
  const sources = files.map((name) => [name.slice(0, -'.lua'.length), readFileSync(join(ROOT, path, name), 'utf8')])
  writeFileSync(
    join(folder, path, module.replace(/\.ts$/, '.js')),
    `export const LUA = ${JSON.stringify(Object.fromEntries(sources), undefined, 2)}\n`
  )
}
