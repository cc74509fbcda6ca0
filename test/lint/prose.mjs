import { readdirSync, readFileSync, statSync } from 'node:fs'
import { extname, join } from 'node:path'
import ts from 'typescript'

/**
 * Rejects phrases that the prose rules exclude, in comments, documentation, errors, log lines and names of tests.
 * `node test/lint/prose.mjs [path…]` checks the files under the paths, or all files of the repository.
 */
const RULES = [
  [/(?:^|[.!?:;]\s+)(?:Who|What|Whoever|Whatever)\b(?![^.!?]*\?)/, 'a sentence has a noun as its subject'],
  [/^(?:who|what)\s(?!\S+ ?\?)/, 'a sentence has a noun as its subject'],
  [/\b(?:is|are|was|were|be|been) told\b/i, 'name who sends or passes what'],
  [/\b(?:is|are|was|were) none\b/i, 'say "is not a …"'],
  [/\b(?:whoever|whatever|whomever)\b/i, 'name the noun'],
  [/\b(?:owed|owes|owing)\b/i, 'say "pending"'],
  [/\blapse(?:s|d)?\b/i, 'say "expire"'],
  [/\bhand(?:s|ed|ing)? (?:it |them |him |that |this )?over\b/i, 'say "dispatch" or "pass"'],
  [/\blook(?:s|ed|ing)? after\b/i, 'say "maintain"'],
  [/\blet(?:s|ting)? go of\b/i, 'say "release" or "close"'],
  [/\btak(?:e|es|ing) leave\b|\btook leave\b/i, 'say "leave"'],
  [/\bgoodbye\b|\bsee you\b/i, 'name the event'],
  [/\bsoft(?:ly)?(?: refus|-refus)|\brefus\w+ softly\b/i, 'say "retryable rejection"'],
  [/\bkeeper\b|\bpulse\b/i, 'say "stream manager", "heartbeat wheel"'],
  [/\b(?:he|him|his|she|her)\b/i, 'say "the user", "the client"'],
  [/\bwho is (?:level|behind|full|there|away|alone|late|slow)\b/i, 'name the noun']
]
const PROSE = new Set(['.css', '.lua', '.md'])
const CODE = new Set(['.ts', '.tsx', '.mjs', '.cjs', '.js'])
const SKIPPED = new Set(['node_modules', 'dist', 'coverage'])
const SELF = 'test/lint/prose'

const paths = process.argv.slice(2)
const files = (paths.length > 0 ? paths : ['.']).flatMap(filesIn).filter((path) => !path.startsWith(SELF))
let found = 0
for (const path of files) for (const piece of piecesOf(path)) check(path, piece)
if (found > 0) {
  console.error(`${found} phrases that the prose rules exclude`)
  process.exitCode = 1
} else console.log(`${files.length} files without a phrase that the prose rules exclude`)

function check(path, { line, text }) {
  for (const [expression, advice] of RULES) {
    const match = expression.exec(text)
    if (match === null) continue
    found++
    const before = text.slice(0, match.index).split('\n').length - 1
    console.error(`${path}:${line + before}: "${match[0].trim()}": ${advice}`)
  }
}

/** The prose of a file, each piece with the line at which it begins. */
function piecesOf(path) {
  const source = readFileSync(path, 'utf8')
  const extension = extname(path)
  if (extension === '.md') return markdownOf(source)
  const comments = { '.lua': /--(.*)/g, '.css': /\/\*(.*?)\*\//gs }[extension]
  if (comments !== undefined)
    return [...source.matchAll(comments)].map((match) => at(source, match.index, match[1].trim()))
  return codeOf(path, source)
}

/** Paragraphs outside fenced code. */
function markdownOf(source) {
  const pieces = []
  let isCode = false
  for (const [index, text] of source.split('\n').entries()) {
    if (text.trimStart().startsWith('```')) isCode = !isCode
    else if (!isCode) {
      const cells = text.startsWith('|') ? text.split('|') : [text.replace(/^[\s>*#\d.-]+/, '')]
      for (const cell of cells) pieces.push({ line: index + 1, text: cell.replaceAll(/`[^`]*`/g, '``').trim() })
    }
  }
  return pieces
}

/** Comments, and literals of more than one word. */
function codeOf(path, source) {
  const file = ts.createSourceFile(path, source, ts.ScriptTarget.Latest, true)
  const pieces = []
  const seen = new Set()
  const comments = (ranges) => {
    for (const { pos, end } of ranges ?? []) {
      if (seen.has(pos)) continue
      seen.add(pos)
      const text = source
        .slice(pos, end)
        .replaceAll(/^\s*(?:\/\*\*?|\*\/|\*|\/\/)\s?/gm, '')
        .replace(/\s*\*\/$/, '')
        .trim()
      pieces.push(at(source, pos, text))
    }
  }
  const visit = (node) => {
    comments(ts.getLeadingCommentRanges(source, node.getFullStart()))
    comments(ts.getTrailingCommentRanges(source, node.getEnd()))
    const isText =
      ts.isStringLiteralLike(node) ||
      node.kind === ts.SyntaxKind.TemplateHead ||
      ts.isTemplateMiddleOrTemplateTail(node)
    if (isText && /\w \w/.test(node.text)) pieces.push(at(source, node.getStart(file), node.text))
    ts.forEachChild(node, visit)
  }
  visit(file)
  return pieces
}

function at(source, position, text) {
  return { line: source.slice(0, position).split('\n').length, text }
}

/** The files to check at a path or below it. */
function filesIn(path) {
  if (!statSync(path).isDirectory()) return PROSE.has(extname(path)) || CODE.has(extname(path)) ? [path] : []
  const names = readdirSync(path).filter((name) => !SKIPPED.has(name) && !(name.startsWith('.') && name !== '.ci'))
  return names.flatMap((name) => filesIn(join(path, name)))
}
