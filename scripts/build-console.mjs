import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { build } from 'esbuild'

const ROOT = join(import.meta.dirname, '..')

/** Packages whose code or fonts are part of the console; their licences go with it. */
const BUNDLED = [
  'preact',
  '@preact/signals',
  '@preact/signals-core',
  'uplot',
  '@fontsource-variable/geist',
  '@fontsource-variable/geist-mono'
]

/** Bundles the console into a folder. `node scripts/build-console.mjs [folder]` builds it into `dist/console`. */
export async function buildConsole(folder) {
  const { outputFiles } = await build({
    absWorkingDir: ROOT,
    entryPoints: { console: 'public/main.tsx', style: 'public/styles/style.css' },
    outdir: folder,
    bundle: true,
    splitting: true,
    format: 'esm',
    target: ['es2022', 'chrome110', 'firefox115', 'safari16.4'],
    minify: true,
    charset: 'utf8',
    loader: { '.woff2': 'file' },
    jsx: 'automatic',
    jsxImportSource: 'preact',
    chunkNames: 'part-[hash]',
    assetNames: '[name]-[hash]',
    logLevel: 'warning',
    write: false
  })
  const files = new Map(outputFiles.map(({ path, contents }) => [basename(path), contents]))
  files.set('licences.txt', BUNDLED.map(licenceOf).join('\n\n----\n\n'))
  for (const name of ['logo.svg', 'index.html']) files.set(name, readFileSync(join(ROOT, 'public', name)))
  mkdirSync(folder, { recursive: true })
  for (const [name, contents] of files) replace(join(folder, name), contents)
  for (const name of readdirSync(folder)) if (!files.has(name)) rmSync(join(folder, name), { force: true })
}

function licenceOf(name) {
  return `${name}\n\n${readFileSync(join(ROOT, 'node_modules', name, 'LICENSE'), 'utf8')}`
}

/** Replaces a file at once: a hub that reads it meanwhile gets the old or the new one. */
function replace(path, contents) {
  const partial = `${path}.${process.pid}.partial`
  writeFileSync(partial, contents)
  renameSync(partial, path)
}

if (import.meta.url === pathToFileURL(process.argv[1]).href)
  await buildConsole(process.argv[2] ?? join(ROOT, 'dist', 'console'))
