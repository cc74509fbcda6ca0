import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from './packed-host.ts'

/** A block of code in the documentation. */
export interface Snippet {
  /** Where it begins: `README.md:12`. */
  readonly where: string
  readonly language: string
  readonly code: string
}

/** Every block of code of the README and of `docs/*.md`, word for word. */
export function allSnippets(): Snippet[] {
  const docs = readdirSync(join(ROOT, 'docs')).filter((name) => name.endsWith('.md'))
  return ['README.md', ...docs.map((name) => join('docs', name))].flatMap(snippetsOf)
}

function snippetsOf(path: string): Snippet[] {
  const text = readFileSync(join(ROOT, path), 'utf8')
  return [...text.matchAll(/^```([\w-]*)\n(.*?)^```$/gms)].map(({ 1: language = '', 2: code = '', index }) => ({
    where: `${path}:${text.slice(0, index).split('\n').length}`,
    language,
    code
  }))
}
