import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import * as errors from '../../services/errors.ts'
import { ROOT } from '../support/packed-host.ts'

const page = readFileSync(join(ROOT, 'docs', 'errors.md'), 'utf8')
const PREFIX = 'SSE_HUB_ERR_'

/** The rows of the tables of some sections, by their first cell. */
function rowsOf(...headings: string[]): Map<string, string> {
  const sections = page.split('\n## ').filter((section) => headings.some((heading) => section.startsWith(heading)))
  const rows = sections.join('\n').matchAll(/^\| `([\w-]+)` +\| ([^|]*?) +\|/gm)
  return new Map([...rows].map(([, code = '', second = '']) => [code, second]))
}

/** The texts of the sources below a folder. */
function sourcesOf(...folders: string[]): string[] {
  return folders.flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => /\.(?:ts|mjs)$/.test(name))
      .map((name) => readFileSync(join(ROOT, folder, name), 'utf8'))
  )
}

t.test('the page of errors has every error of the hub, with its status, and no other', async (t) => {
  const documented = rowsOf('The request', 'The caller', 'Later', 'Wrong code')
  const created = Object.values(errors).map((HubError) => new HubError('', ''))
  for (const { code, statusCode } of created)
    t.equal(documented.get(code.slice(PREFIX.length)), `${statusCode}`, `${code} has the status ${statusCode}`)
  const sources = sourcesOf('services', 'plugins', 'routes', 'standalone', 'scripts').join('\n')
  const named = new Set(sources.match(/SSE_HUB_ERR_[A-Z_]*[A-Z]/g)?.map((code) => code.slice(PREFIX.length)))
  t.same([...documented.keys()].sort(), [...named].sort())
})

t.test('the page of errors has every code of the browser client and of the publisher, and no other', async (t) => {
  const client = sourcesOf('client').join('\n')
  const thrown = [...client.matchAll(/StreamError\('([\w-]+)'/g)].map(([, code]) => code)
  // Codes that are chosen by an expression.
  for (const code of ['network', 'too-large', 'refused']) {
    t.match(client, `'${code}'`)
    thrown.push(code)
  }
  t.same([...rowsOf('Browser client').keys()].sort(), [...new Set(thrown)].sort())
  const codes = [
    ...sourcesOf('publisher')
      .join('\n')
      .matchAll(/^ \* - `([A-Z_]+)`:/gm)
  ].map(([, code]) => code)
  t.same([...rowsOf('Publisher').keys()].sort(), codes.sort())
})
