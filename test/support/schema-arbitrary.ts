import { Kind, OptionalKind, type TSchema } from '@sinclair/typebox'
import fc from 'fast-check'
import { hostileText } from './fuzz.ts'

type Schema = TSchema & Record<string, unknown>

const MANY = 6
/** Beyond this, lengths and sizes are tested by the bounds themselves. */
const LONG = 300

/** Values that a schema allows, especially at its bounds. */
export function arbitraryOf(schema: TSchema): fc.Arbitrary<unknown> {
  const given = schema as Schema
  switch (schema[Kind]) {
    case 'Object':
      return objectOf(given.properties as Record<string, TSchema>)
    case 'Array':
      return arrayOf(given)
    case 'String':
      return stringOf(given)
    case 'Integer':
      return integerOf(given)
    case 'Boolean':
      return fc.boolean()
    case 'Literal':
      return fc.constant(given.const)
    case 'Union':
      return fc.oneof(...(given.anyOf as TSchema[]).map(arbitraryOf))
    case 'Unknown':
      return fc.oneof(hostileText, fc.jsonValue())
    default:
      throw new Error(`no values are made of a schema of kind ${schema[Kind]}`)
  }
}

/** Values that a schema allows, and their neighbours: a property changed, missing, added, or of another kind. */
export function nearlyOf(schema: TSchema): fc.Arbitrary<unknown> {
  const right = arbitraryOf(schema)
  return fc.oneof({ arbitrary: right, weight: 5 }, { arbitrary: right.chain(bend), weight: 4 }, fc.jsonValue())
}

function objectOf(properties: Record<string, TSchema>): fc.Arbitrary<unknown> {
  const entries = Object.entries(properties)
  const requiredKeys = entries.filter(([, value]) => value[OptionalKind] === undefined).map(([name]) => name)
  return fc.record(Object.fromEntries(entries.map(([name, value]) => [name, arbitraryOf(value)])), { requiredKeys })
}

function arrayOf({ items, minItems = 0, maxItems }: Schema): fc.Arbitrary<unknown> {
  const minLength = minItems as number
  const maxLength = Math.min((maxItems as number | undefined) ?? MANY, minLength + MANY)
  return fc.array(arbitraryOf(items as TSchema), { minLength, maxLength })
}

function stringOf({ minLength = 0, maxLength = LONG }: Schema): fc.Arbitrary<string> {
  const [min, max] = [minLength as number, maxLength as number]
  return fc.oneof(
    { arbitrary: fc.constantFrom('alice', 'bob', 'news', 'a b', 'é☃😀'), weight: 4 },
    { arbitrary: hostileText.map((text) => text.padEnd(min, 'x').slice(0, max)), weight: 2 },
    fc.constantFrom('x'.repeat(min), 'x'.repeat(max))
  )
}

function integerOf({ minimum = -(2 ** 31), maximum = Number.MAX_SAFE_INTEGER }: Schema): fc.Arbitrary<number> {
  const [min, max] = [minimum as number, maximum as number]
  return fc.oneof(fc.constantFrom(min, max), fc.integer({ min, max: Math.min(max, min + 100) }))
}

/** Changes one place of a value, at any depth. */
function bend(value: unknown): fc.Arbitrary<unknown> {
  const other = fc.oneof(hostileText, fc.jsonValue({ maxDepth: 2 }), fc.constantFrom(null, -1, 1e308, '', [], {}))
  if (typeof value !== 'object' || value === null) return other
  const names = Object.keys(value)
  const at = names.length === 0 ? fc.constant('more') : fc.constantFrom(...names)
  return fc.oneof(
    other,
    fc.tuple(at, other).map(([name, bent]) => withProperty(value, name, bent)),
    at.chain((name) => bend((value as Record<string, unknown>)[name]).map((bent) => withProperty(value, name, bent))),
    at.map((name) => withProperty(value, name, undefined)),
    fc.tuple(hostileText, other).map(([name, bent]) => withProperty(value, name, bent))
  )
}

function withProperty(value: object, name: string, bent: unknown): unknown {
  if (Array.isArray(value)) return value.map((item, index) => (`${index}` === name ? bent : item))
  // Built from entries, so that `__proto__` is a property like any other.
  return Object.fromEntries([...Object.entries(value), [name, bent]])
}
