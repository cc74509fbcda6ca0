import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join, normalize, posix } from 'node:path'

/**
 * Builds the documentation site into `site/.vitepress/dist`, or into the folder that is named: the pages of `docs/`, the
 * changelog, and the API reference from the docstrings. The tools have a lockfile of their own, so that `npm ci` of the package
 * stays small. `node site/build.mjs --serve` serves the last build.
 */
const SITE = import.meta.dirname
const ROOT = join(SITE, '..')
const CONTENT = join(SITE, '.content')
const SOURCES = 'https://github.com/fastify-sse-hub/fastify-sse-hub/blob/main/'
const ENTRIES = {
  'fastify-sse-hub': 'index.ts',
  'fastify-sse-hub/app': 'app.ts',
  'fastify-sse-hub/client': 'client.ts',
  'fastify-sse-hub/client/react': 'client-react.ts',
  'fastify-sse-hub/client/shared': 'client-shared.ts',
  'fastify-sse-hub/client/vue': 'client-vue.ts',
  'fastify-sse-hub/console': 'console.ts',
  'fastify-sse-hub/embedded': 'embedded.ts',
  'fastify-sse-hub/event-log/contract': 'event-log-contract/contract.ts',
  'fastify-sse-hub/metrics': 'metrics.ts',
  'fastify-sse-hub/publisher': 'publisher.ts',
  'fastify-sse-hub/redis': 'redis-hub.ts',
  'fastify-sse-hub/testing': 'testing.ts',
  'fastify-sse-hub/tracing': 'tracing.ts'
}

const [argument] = process.argv.slice(2)
installTools()
if (argument === '--serve') vitepress('preview', SITE)
else {
  rmSync(CONTENT, { recursive: true, force: true })
  copyPages()
  writeReference()
  vitepress('build', SITE, ...(argument === undefined ? [] : ['--outDir', argument]))
}

function installTools() {
  const stamp = join(SITE, 'node_modules', '.package-lock.json')
  const lock = join(SITE, 'package-lock.json')
  if (existsSync(stamp) && statSync(stamp).mtimeMs >= statSync(lock).mtimeMs) return
  // The program that esbuild needs is a package of its own: no script of a dependency has to run.
  execFileSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: SITE, stdio: 'inherit' })
}

function vitepress(...args) {
  execFileSync(process.execPath, [join(SITE, 'node_modules', 'vitepress', 'bin', 'vitepress.js'), ...args], {
    cwd: SITE,
    stdio: 'inherit'
  })
}

/** Copies the pages, which GitHub shows as they are, with the links that lead out of `docs/` turned to the sources. */
function copyPages() {
  cpSync(join(ROOT, 'docs'), CONTENT, { recursive: true })
  cpSync(join(SITE, 'index.md'), join(CONTENT, 'index.md'))
  cpSync(join(ROOT, 'public', 'logo.svg'), join(CONTENT, 'public', 'logo.svg'))
  for (const name of readdirSync(CONTENT, { recursive: true, encoding: 'utf8' })) {
    if (!name.endsWith('.md')) continue
    const path = join(CONTENT, name)
    const target = path.replace(/README\.md$/, 'index.md')
    const text = readFileSync(path, 'utf8')
    if (target !== path) rmSync(path)
    writeFileSync(target, linksFrom(dirname(posix.join('docs', name)), text))
  }
  const changelog = readFileSync(join(ROOT, 'CHANGELOG.md'), 'utf8')
  writeFileSync(join(CONTENT, 'changelog.md'), linksFrom('.', changelog))
}

/** The text of a page with its links as the site has them. */
function linksFrom(folder, text) {
  return text.replaceAll(/\]\(([^)\s]+)\)/g, (link, target) => {
    if (/^(?:https?:|#|\/|mailto:)/.test(target)) return link
    const path = normalize(posix.join(folder, target))
    if (!path.startsWith('docs/')) return `](${SOURCES}${path})`
    const inside = posix.relative(folder === '.' ? 'docs' : folder, path)
    return `](${inside.replace(/README\.md(?=#|$)/, 'index.md')})`
  })
}

/** Writes the API reference: a page a package export. */
function writeReference() {
  const folder = join(CONTENT, 'api')
  const entries = Object.entries(ENTRIES)
  const options = {
    entryPoints: entries.map(([, path]) => join(ROOT, path)),
    tsconfig: join(ROOT, 'tsconfig.json'),
    skipErrorChecking: true,
    out: folder,
    plugin: ['typedoc-plugin-markdown'],
    readme: 'none',
    excludeInternal: true,
    excludeExternals: true,
    disableSources: true,
    hidePageHeader: true,
    hideBreadcrumbs: true,
    router: 'module',
    entryFileName: 'index',
    useCodeBlocks: true,
    expandObjects: true,
    parametersFormat: 'table',
    interfacePropertiesFormat: 'table',
    typeAliasPropertiesFormat: 'table',
    logLevel: 'Error'
  }
  mkdirSync(folder, { recursive: true })
  const path = join(SITE, '.typedoc.json')
  writeFileSync(path, JSON.stringify(options))
  execFileSync(process.execPath, [join(SITE, 'node_modules', 'typedoc', 'bin', 'typedoc'), '--options', path], {
    cwd: ROOT,
    stdio: 'inherit'
  })
  rmSync(path)
  for (const [name, source] of entries) nameModule(folder, source.replace(/\.ts$/, ''), name)
}

/** Calls a module by its export of the package, and not by its file, and mends links to headings that the tool has numbered. */
function nameModule(folder, module, name) {
  const [path = ''] = [join(module, 'index.md'), `${module}.md`].map((file) => join(folder, file)).filter(existsSync)
  const text = readFileSync(path, 'utf8').replaceAll('#ssehuboptions-1', '#ssehuboptions')
  writeFileSync(path, text.replace(/^# .*$/m, `# ${name}`))
  const index = join(folder, 'index.md')
  writeFileSync(index, readFileSync(index, 'utf8').replace(`[${module}]`, `[${name}]`))
}
