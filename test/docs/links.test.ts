import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { basename, dirname, join, relative, sep } from 'node:path'
import t from 'tap'
import { ROOT } from '../support/packed-host.ts'
import { documents } from '../support/snippets.ts'

const examples = readdirSync(join(ROOT, 'examples'), { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.md') && !name.includes('node_modules'))
  .map((name) => pageAt(join('examples', name)))
const pages = [...documents(), ...examples, ...['CONTRIBUTING.md', 'CHANGELOG.md'].map(pageAt)]

function pageAt(path: string): { path: string; text: string } {
  return { path, text: readFileSync(join(ROOT, path), 'utf8') }
}

/** The anchors of a page, as GitHub makes them of its headings. */
function anchorsOf(text: string): string[] {
  return [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-')
  )
}

t.test('every link of the documentation leads to a file and to one of its headings', async (t) => {
  for (const { path, text } of pages) {
    for (const [, target = ''] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https?:/.test(target)) continue
      const [file = '', anchor] = target.split('#')
      const linked = file === '' ? path : join(dirname(path), file)
      t.ok(existsSync(join(ROOT, linked)), `${path}: ${target}`)
      if (anchor !== undefined) t.ok(anchorsOf(pageAt(linked).text).includes(anchor), `${path}: ${target}`)
    }
  }
})

t.test(
  'every page is linked from the README, and every page of a folder from the first page of that folder',
  async (t) => {
    for (const { path } of documents()) {
      if (path === 'README.md') continue
      const isAlone = dirname(path) === 'docs' || basename(path) === 'README.md'
      const index = isAlone ? 'README.md' : join(dirname(path), 'README.md')
      t.ok(pageAt(index).text.includes(`](${relative(dirname(index), path)})`), path)
    }
  }
)

t.test('every example is linked from the index of examples, and names its command', async (t) => {
  const { text } = pageAt(join('examples', 'README.md'))
  for (const { path } of examples) {
    const name = path.split(sep)[1] ?? ''
    if (name === 'README.md') continue
    t.ok(text.includes(`](${name}/)`), path)
    // The receiver of webhooks needs settings of the reader's own.
    const command = name === 'webhooks' ? 'npm start' : `npm run example ${name}\n`
    t.ok(pageAt(path).text.includes(command), `${path}: ${command}`)
  }
})
