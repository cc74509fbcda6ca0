import t from 'tap'
import type { HubAction } from '../../services/access/action.ts'
import { ApiKeys, hashSecret } from '../../services/access/api-keys.ts'
import { algorithmsOf } from '../../services/access/jwt-keys.ts'
import { allows, parseScopes, type Scopes } from '../../services/access/scopes.ts'
import { keyPair } from '../support/tokens.ts'

const may = (words: string[], action: HubAction) => allows(parseScopes(words) as Scopes, action)
const publish = (target: object): HubAction => ({ verb: 'publish', target })

t.test('a pattern matches the whole name, unless it ends with a star', async (t) => {
  const cases: [string, string, boolean][] = [
    ['user:alice', 'alice', true],
    ['user:alice', 'Alice', false],
    ['user:alice', 'alice2', false],
    ['user:al*', 'alice', true],
    ['user:al*', 'al', true],
    ['user:*', '__proto__', true],
    ['user:a*e', 'alice', false],
    ['user:a*e', 'a*e', true],
    ['user:a%2Cb', 'a,b', true],
    ['user:a:b', 'a:b', true],
    ['user:%E4%BD%A0', '你', true],
    ['user:bob%2A', 'bob*', true],
    ['user:bob%2A', 'bob', false],
    ['user:bob%2A', 'bobby', false],
    ['user:bob%2A*', 'bob*by', true],
    ['user:bob%2A*', 'bobby', false]
  ]
  for (const [scope, user, expected] of cases)
    t.equal(may([scope], publish({ users: [user] })), expected, `${scope} ${user}`)
})

t.test('an event for several receivers is allowed only if it is allowed for each', async (t) => {
  const scopes = ['user:a*', 'topic:news']
  t.ok(may(scopes, publish({ users: ['a', 'ab'], topics: ['news'] })))
  t.notOk(may(scopes, publish({ users: ['a', 'b'] })))
  t.notOk(may(scopes, publish({ users: ['a'], topics: ['news', 'sport'] })))
  t.notOk(may(scopes, publish({ users: ['a'], everyone: true })))
  t.notOk(may(['user:*', 'topic:*'], publish({ everyone: true })))
  t.ok(may(['publish'], publish({ users: ['a'], topics: ['b'], everyone: true })))
})

t.test('the empty target asks whether a publisher may publish at all', async (t) => {
  for (const words of [['broadcast'], ['user:a'], ['topic:a*'], ['publish']])
    t.ok(may(words, publish({})), words.join())
  t.notOk(may(['read', 'close', 'ticket'], publish({})))
})

t.test('reading and closing are separate scopes', async (t) => {
  for (const verb of ['read', 'close'] as const) {
    t.ok(may([verb], { verb }))
    t.ok(may([verb], { verb, user: 'alice' }))
    t.notOk(may(['publish', 'ticket', verb === 'read' ? 'close' : 'read'], { verb, user: 'alice' }))
  }
})

t.test('a misspelled scope is not ignored', async (t) => {
  const wrong = [
    '',
    'Broadcast',
    'user',
    'user:',
    'users:*',
    'topic',
    'topic:',
    'read:alice',
    '*',
    'all',
    'user:%',
    'user:a%00',
    'constructor',
    `user:${'x'.repeat(258)}`
  ]
  for (const word of wrong) t.equal(parseScopes(['read', word]), undefined, word.slice(0, 20))
})

t.test('a key is found by its whole text, at any place in the list', async (t) => {
  const scopes = parseScopes(['read']) as Scopes
  const texts = Array.from({ length: 20 }, (_, index) => `${index}`.padStart(43, 'k'))
  const keys = new ApiKeys(texts.map((text, index) => ({ id: `${index}`, hash: hashSecret(text), scopes })))
  for (const [index, text] of texts.entries()) t.equal(keys.find(text)?.id, `${index}`)
  for (const text of ['', 'k', 'k'.repeat(43), `${texts[0]} `, `${texts[0]}`.slice(1), 'x'.repeat(10_000)])
    t.equal(keys.find(text), undefined)
  t.equal(new ApiKeys([]).find(''), undefined)
})

t.test('the kind of a key decides its algorithms, and weak keys are rejected', async (t) => {
  t.same(algorithmsOf('x'.repeat(32)), ['HS256'])
  t.same(algorithmsOf('é'.repeat(24)), ['HS256', 'HS384'])
  t.same(algorithmsOf('x'.repeat(64)), ['HS256', 'HS384', 'HS512'])
  t.same(algorithmsOf(keyPair('rsa').pem), ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'])
  t.same(algorithmsOf(keyPair('ec', 'P-384').pem), ['ES384'])
  t.same(algorithmsOf(keyPair('ed25519').pem), ['EdDSA'])
  const { privateKey } = keyPair('ec')
  const wrong: [string, RegExp][] = [
    ['', /at least 32 bytes; got 0/],
    ['x'.repeat(31), /at least 32 bytes; got 31/],
    [keyPair('rsa', 1_024).pem, /2048 bits/],
    [keyPair('ec', 'secp256k1').pem, /P-256/],
    [privateKey.export({ type: 'pkcs8', format: 'pem' }) as string, /private/],
    ['-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----', /public key in PEM/]
  ]
  for (const [key, message] of wrong) t.throws(() => algorithmsOf(key), { message })
})
