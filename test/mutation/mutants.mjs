import ts from 'typescript'

const { SyntaxKind: Kind } = ts

/** The replacement of each operator. */
const OPERATORS = new Map([
  [Kind.LessThanToken, '<='],
  [Kind.LessThanEqualsToken, '<'],
  [Kind.GreaterThanToken, '>='],
  [Kind.GreaterThanEqualsToken, '>'],
  [Kind.EqualsEqualsEqualsToken, '!=='],
  [Kind.ExclamationEqualsEqualsToken, '==='],
  [Kind.PlusToken, '-'],
  [Kind.MinusToken, '+'],
  [Kind.AsteriskToken, '/'],
  [Kind.SlashToken, '*'],
  [Kind.PlusEqualsToken, '-='],
  [Kind.MinusEqualsToken, '+='],
  [Kind.AmpersandAmpersandToken, '||'],
  [Kind.BarBarToken, '&&'],
  [Kind.QuestionQuestionToken, '&&']
])

/**
 * Every way in which one place of a source is changed: conditions negated, operators exchanged, returns without their
 * value, constants changed, blocks emptied, calls left out.
 * @returns {{ start: number, end: number, text: string, line: number, kind: string }[]}
 */
export function mutantsOf(path, source) {
  const file = ts.createSourceFile(path, source, ts.ScriptTarget.Latest, true)
  const mutants = []
  const change = (node, text, kind) => {
    const start = node.getStart(file)
    const line = file.getLineAndCharacterOfPosition(start).line + 1
    mutants.push({ start, end: node.getEnd(), text, line, kind })
  }
  const visit = (node) => {
    // Types do not exist when the tests run.
    if (ts.isTypeNode(node) || ts.isInterfaceDeclaration(node) || ts.isTypeAliasDeclaration(node)) return
    if (ts.isImportDeclaration(node)) return
    collect(node, change, file)
    ts.forEachChild(node, visit)
  }
  visit(file)
  return mutants
}

function collect(node, change, file) {
  const negate = (condition) => change(condition, `!(${condition.getText(file)})`, 'condition negated')
  if (ts.isIfStatement(node) || ts.isWhileStatement(node)) negate(node.expression)
  else if (ts.isConditionalExpression(node) || (ts.isForStatement(node) && node.condition)) negate(node.condition)
  else if (ts.isBinaryExpression(node)) {
    const other = OPERATORS.get(node.operatorToken.kind)
    if (other !== undefined) change(node.operatorToken, other, 'operator exchanged')
  } else if (ts.isPostfixUnaryExpression(node) || ts.isPrefixUnaryExpression(node)) step(node, change, file)
  else if (ts.isReturnStatement(node) && node.expression && node.expression.getText(file) !== 'undefined')
    change(node, 'return undefined', 'return without its value')
  else if (ts.isExpressionStatement(node) && ts.isCallExpression(node.expression)) change(node, ';', 'call left out')
  else if (ts.isBlock(node) && node.statements.length > 0 && !ts.isCatchClause(node.parent))
    change(node, '{}', 'block emptied')
  else constant(node, change)
}

function step(node, change, file) {
  const { operator, operand } = node
  const other = operator === Kind.PlusPlusToken ? '--' : operator === Kind.MinusMinusToken ? '++' : undefined
  if (other !== undefined) {
    const text = operand.getText(file)
    change(node, ts.isPrefixUnaryExpression(node) ? other + text : text + other, 'step reversed')
  } else if (operator === Kind.ExclamationToken) change(node, operand.getText(file), 'condition negated')
}

function constant(node, change) {
  if (ts.isNumericLiteral(node)) change(node, `${Number(node.text) + 1}`, 'constant changed')
  else if (node.kind === Kind.TrueKeyword) change(node, 'false', 'constant changed')
  else if (node.kind === Kind.FalseKeyword) change(node, 'true', 'constant changed')
  else if (ts.isStringLiteral(node)) change(node, node.text === '' ? "'?'" : "''", 'constant changed')
}
