import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { build } from 'esbuild'

const ROOT = join(import.meta.dirname, '..')

/** The package exports of the browser client. */
const ENTRIES = ['client.ts', 'client-react.ts', 'client-shared.ts', 'client-vue.ts']

/**
 * Bundles the exports of the browser client into a folder, where they replace the modules of the compiler. The declarations
 * stay as the compiler wrote them.
 */
export async function bundleClient(folder) {
  removeModules(join(folder, 'client'))
  await build({
    ...options(ENTRIES),
    outdir: folder,
    splitting: true,
    chunkNames: 'client/[name]-[hash]'
  })
  // The parser alone is for the test kit.
  await build({ ...options(['client/frame-reader.ts']), outdir: join(folder, 'client') })
}

/** The text of a bundle that exports some names of an entry, minified: what a page loads for them. */
export async function minified(entry, names) {
  const { outputFiles } = await build({
    ...options([]),
    entryPoints: undefined,
    stdin: { contents: `export { ${names.join()} } from './${entry}'`, resolveDir: ROOT },
    minify: true,
    write: false
  })
  return outputFiles[0].text
}

const PACKAGE = 'fastify-sse-hub'
const ALIAS = Object.fromEntries(
  ENTRIES.map((entry) => [`${PACKAGE}/${entry.slice(0, -'.ts'.length).replace('-', '/')}`, `./${entry}`])
)

/** A program of a page, with the packages that it imports, and the client as it is in this checkout. */
export async function pageProgram(contents) {
  const { outputFiles } = await build({
    ...options([]),
    entryPoints: undefined,
    external: [],
    alias: ALIAS,
    platform: 'browser',
    define: { 'process.env.NODE_ENV': '"production"' },
    stdin: { contents, resolveDir: ROOT },
    write: false
  })
  return outputFiles[0].text
}

function options(entries) {
  return {
    absWorkingDir: ROOT,
    entryPoints: entries,
    bundle: true,
    format: 'esm',
    target: 'es2022',
    platform: 'neutral',
    external: ['react', 'vue'],
    logLevel: 'warning'
  }
}

function removeModules(path) {
  let entries
  try {
    entries = readdirSync(path, { withFileTypes: true, recursive: true })
  } catch (error) {
    if (error.code === 'ENOENT') return
    throw error
  }
  for (const entry of entries) if (entry.name.endsWith('.js')) rmSync(join(entry.parentPath, entry.name))
}
