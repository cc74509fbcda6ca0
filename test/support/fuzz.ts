import fc from 'fast-check'
import type { Test } from 'tap'
import { effort } from './effort.ts'

/** The seed of all attacks of a run: the same seed makes the same attacks. */
export const SEED = Number(process.env.TEST_SEED ?? Date.now() % 2 ** 31)
/** The number of attacks as a multiple of a quick run. */
const FACTOR = Number(process.env.ATTACKS ?? effort(1, 10))

/** The number of attacks of a kind, of which a quick run has `quick`. */
export function runs(quick: number): number {
  return Math.max(1, Math.round(quick * FACTOR))
}

/** Searches for an input for which `attack` throws; fails with the smallest one. */
export async function survives<Input>(
  t: Test,
  inputs: fc.Arbitrary<Input>,
  quick: number,
  attack: (input: Input) => Promise<void>
): Promise<void> {
  const numRuns = runs(quick)
  t.comment(`TEST_SEED=${SEED}, ${numRuns} attacks (ATTACKS=1 makes ${quick})`)
  const property = fc.asyncProperty(inputs, attack)
  const result = await fc.check(property, { seed: SEED, numRuns, includeErrorInReport: true })
  t.notOk(result.failed, fc.defaultReportMessage(result) ?? `${result.numRuns} attacks were survived`)
}

/** Texts that have broken parsers, tables, file names, logs or pages before. */
export const HOSTILE_TEXTS = [
  ...[
    '',
    ' ',
    '\0',
    '\r',
    '\n',
    '\r\n\r\n',
    '\t',
    '\x7f',
    '\x85',
    '\u2028',
    '\uFEFF',
    '\ud800',
    '\u202e',
    'é',
    '☃',
    '😀'
  ],
  ...[
    '__proto__',
    'constructor',
    'prototype',
    'toString',
    'hasOwnProperty',
    'null',
    'undefined',
    'NaN',
    'true',
    '[object Object]'
  ],
  ...[
    '..',
    '../..',
    '/',
    '//',
    '%2F',
    '%00',
    '%',
    '%zz',
    '%C0%80',
    '\\',
    ':',
    '*',
    '?',
    '#',
    '&',
    '=',
    ';',
    ',',
    '|',
    '~',
    '`'
  ],
  ...['-1', '0', '1e3', '0x10', '9007199254740993', '1e400', '00', '+1', '1.5', 'Infinity', `${2 ** 31}`, `${2 ** 32}`],
  ...[
    '<img src=x onerror=alert(1)>',
    "' OR 1=1 --",
    '{{7*7}}',
    '$(id)',
    '%s%s%n',
    'data: x',
    'id: 1',
    'event: hub.close'
  ],
  ...[
    'hub.gap',
    'open',
    'error',
    'u:alice',
    't:news',
    'everyone',
    '0.00000000000000',
    'zzzzzzzzzzz.zzzzzzzzzzzzzz',
    'x.end',
    '.end'
  ]
]

export const hostileText: fc.Arbitrary<string> = fc.oneof(
  { arbitrary: fc.constantFrom(...HOSTILE_TEXTS), weight: 4 },
  { arbitrary: fc.string({ unit: 'binary', maxLength: 12 }), weight: 2 },
  {
    arbitrary: fc
      .tuple(fc.constantFrom(...HOSTILE_TEXTS), fc.integer({ min: 1, max: 400 }))
      .map(([text, times]) => text.repeat(times)),
    weight: 1
  }
)
