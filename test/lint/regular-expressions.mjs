import { readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { check } from 'recheck'
import ts from 'typescript'

/**
 * Fails for every regular expression of the shipped code whose time is not linear in its input: an attacker chooses the
 * input. A URL of 16 KB against a quadratic expression blocks the event loop for half a second.
 */
const ROOT = join(import.meta.dirname, '..', '..')
const UNSHIPPED = ['**/node_modules', '.tap', 'coverage', 'dist', 'test', 'bench', 'examples', 'site']

const paths = process.argv.length > 2 ? process.argv.slice(2) : shippedFiles()
const found = paths.flatMap(expressionsOf)
const verdicts = []
// One after the other, because in parallel they take three times as long.
for (const each of found) verdicts.push({ ...each, ...(await verdictOf(each)) })
const bad = verdicts.filter(({ status }) => status !== 'safe')
for (const { where, text, complexity, attack } of bad) {
  const example = attack === undefined ? '' : `, for example with ${attack.pattern}`
  console.error(`${where}: ${text} takes ${complexity?.summary ?? 'an unknown'} time${example}`)
}
console.log(`${found.length} regular expressions checked, ${bad.length} not linear`)
process.exitCode = bad.length === 0 && found.length > 0 ? 0 : 1

function shippedFiles() {
  return ts.sys.readDirectory(ROOT, ['.ts', '.js', '.mjs'], UNSHIPPED)
}

/** Literals, and calls of `RegExp` with a constant text; any other call is reported, because it cannot be checked. */
function expressionsOf(path) {
  const file = ts.createSourceFile(path, readFileSync(path, 'utf8'), ts.ScriptTarget.Latest, true)
  const expressions = []
  const visit = (node) => {
    const text = textOf(node)
    if (text !== undefined) {
      const { line } = file.getLineAndCharacterOfPosition(node.getStart())
      expressions.push({ where: `${relative(ROOT, path)}:${line + 1}`, text })
    }
    ts.forEachChild(node, visit)
  }
  visit(file)
  return expressions
}

function textOf(node) {
  if (ts.isRegularExpressionLiteral(node)) return node.text
  if (!(ts.isNewExpression(node) || ts.isCallExpression(node)) || node.expression.getText() !== 'RegExp')
    return undefined
  const [source, flags] = node.arguments ?? []
  if (!source || !ts.isStringLiteralLike(source)) return node.getText()
  return `/${source.text}/${flags && ts.isStringLiteralLike(flags) ? flags.text : ''}`
}

function verdictOf({ text }) {
  const [, source, flags] = /^\/(.*)\/([a-z]*)$/s.exec(text) ?? []
  if (source === undefined) return { status: 'unknown' }
  return check(source, flags, { timeout: 30_000 })
}
