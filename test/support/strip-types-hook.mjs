import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Stripped files by the hash of their source: a process that finds all of them here does not load the compiler. */
const CACHE = join(import.meta.dirname, '..', '..', '.tap', 'stripped')
mkdirSync(CACHE, { recursive: true })

/** Loads TypeScript with its types blanked out, so that every line and column stays where it is. */
export async function load(url, context, next) {
  if (!url.startsWith('file:') || !url.endsWith('.ts')) return next(url, context)
  // Not `next`: the test runner's own hook compiles each file in each process, and coverage would mix the offsets of both.
  return { format: 'module', shortCircuit: true, source: await strip(readFileSync(new URL(url), 'utf8')) }
}

async function strip(source) {
  const file = join(CACHE, `${createHash('sha256').update(source).digest('hex')}.js`)
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    if (error.code !== 'ENOENT') throw error
  }
  const { default: blankTypes } = await import('ts-blank-space')
  const stripped = blankTypes(source)
  // Other processes read a complete file or no file.
  const partial = `${file}.${process.pid}`
  writeFileSync(partial, stripped)
  renameSync(partial, file)
  return stripped
}
