import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from './packed-host.ts'

/** A block of code in the documentation. */
export interface Snippet {
  /** Its position: `README.md:12`. */
  readonly where: string
  readonly language: string
  readonly code: string
}

/** The README and the pages below `docs/`. */
export function documents(): { path: string; text: string }[] {
  const docs = readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' })
  const pages = docs.filter((name) => name.endsWith('.md')).sort()
  const paths = ['README.md', ...pages.map((name) => join('docs', name))]
  return paths.map((path) => ({ path, text: readFileSync(join(ROOT, path), 'utf8') }))
}

/** Every block of code of the documentation, word for word. */
export function allSnippets(): Snippet[] {
  return documents().flatMap(({ path, text }) =>
    [...text.matchAll(/^```([\w-]*)\n(.*?)^```$/gms)].map(({ 1: language = '', 2: code = '', index }) => ({
      where: `${path}:${text.slice(0, index).split('\n').length}`,
      language,
      code
    }))
  )
}
