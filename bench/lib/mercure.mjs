import { createHmac, randomBytes } from 'node:crypto'

const PATH = '/.well-known/mercure'
const STREAM = `${PATH}?topic=everyone&topic=u#`
const KEY = randomBytes(32).toString('hex')

const base64 = (value) => Buffer.from(JSON.stringify(value)).toString('base64url')
/** Lets its publisher publish to all topics. */
const CLAIMS = `${base64({ alg: 'HS256', typ: 'JWT' })}.${base64({ mercure: { publish: ['*'] } })}`
const TOKEN = `${CLAIMS}.${createHmac('sha256', KEY).update(CLAIMS).digest('base64url')}`

const publication = (topic) => (text) => ({
  path: PATH,
  headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/x-www-form-urlencoded' },
  payload: `topic=${topic}&data=${text}`
})

/** The hub of Mercure, from its library for Go, without a history. */
export const MERCURE = {
  title: 'Mercure 0.20.1 (Go)',
  build: ['go', 'build', '-trimpath', '-o', 'target/mercure', '.'],
  file: 'target/mercure',
  start: (file) => [file],
  env: { GOMAXPROCS: '1', MERCURE_KEY: KEY },
  requests: { stream: STREAM, userStream: STREAM, toEveryone: publication('everyone'), toUser: publication('u#') }
}
