import { randomBytes } from 'node:crypto'
import { join } from 'node:path'

const CONFIG = join(import.meta.dirname, '..', 'programs', 'centrifugo', 'config.json')
const KEY = randomBytes(32).toString('hex')
/** The query names the channels in JSON. */
const STREAM = `/connection/uni_sse?cf_connect=${encodeURIComponent('{"subs":{"everyone":{},"u#":{}}}').replace('%23', '#')}`

const publication = (channel) => (text) => ({
  path: '/api/publish',
  headers: { 'x-api-key': KEY },
  payload: JSON.stringify({ channel, data: text })
})

/** Centrifugo as it is, without a history: a plain event source could not resume from it. */
export const CENTRIFUGO = {
  title: 'Centrifugo 5.4.9 (Go)',
  build: ['go', 'build', '-trimpath', '-o', 'target/centrifugo', 'github.com/centrifugal/centrifugo/v5'],
  file: 'target/centrifugo',
  start: (file, port) => [file, '--config', CONFIG, '--address', '127.0.0.1', '--port', String(port)],
  env: { GOMAXPROCS: '1', CENTRIFUGO_API_KEY: KEY },
  requests: { stream: STREAM, userStream: STREAM, toEveryone: publication('everyone'), toUser: publication('u#') }
}
