import t from 'tap'
import { acceptsEventStream } from '../../plugins/accept.ts'

t.test('no Accept header accepts anything', async (t) => {
  for (const accept of [undefined, '', ' ', '\t']) t.ok(acceptsEventStream(accept))
})

t.test('event streams are accepted by name, by type, or with everything', async (t) => {
  const yes = [
    ...[
      'text/event-stream',
      'text/*',
      '*/*',
      'TEXT/Event-Stream',
      ' text/event-stream ',
      'text/event-stream;charset=utf-8'
    ],
    ...[
      'application/json, text/event-stream',
      'text/html,*/*;q=0.8',
      'text/event-stream;q=0.001',
      '*/*;q=1',
      'text/*;q=0.5'
    ],
    ...[
      'text/event-stream; charset=utf-8; q=0.1',
      'text/event-stream;Q=0.5',
      ',text/event-stream,',
      '*/*; q=0, text/*'
    ],
    'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8'
  ]
  for (const accept of yes) t.ok(acceptsEventStream(accept), accept)
})

t.test('a header that names only other types does not accept event streams', async (t) => {
  const no = [
    'application/json',
    'text/html',
    'text/plain, application/json',
    'text',
    'event-stream',
    'text/event-streams'
  ]
  const more = [
    'application/*',
    '*',
    '*/event-stream',
    'x-text/event-stream',
    'text/event-stream2',
    ';q=1',
    ',,,',
    'q=1'
  ]
  for (const accept of [...no, ...more]) t.notOk(acceptsEventStream(accept), accept)
})

t.test('a weight of 0 refuses, and the most specific range decides', async (t) => {
  const no = [
    'text/event-stream;q=0',
    'text/event-stream;q=0.000',
    'text/event-stream; q=0, */*',
    '*/*, text/event-stream;q=0'
  ]
  for (const accept of [...no, 'text/*;q=0, */*', '*/*;q=0', 'text/event-stream;q=0,text/*']) {
    t.notOk(acceptsEventStream(accept), accept)
  }
  t.ok(acceptsEventStream('text/event-stream, text/*;q=0, */*;q=0'))
  t.ok(acceptsEventStream('text/*, */*;q=0'))
})

t.test('a weight that is not valid refuses', async (t) => {
  for (const weight of ['', 'x', '-1', 'NaN', '0,5'])
    t.notOk(acceptsEventStream(`text/event-stream;q=${weight}`), weight)
})

t.test('names of properties that every object inherits are not accepted', async (t) => {
  for (const accept of ['__proto__', 'constructor', 'toString']) t.notOk(acceptsEventStream(accept))
})

t.test('only the beginning of an overlong header is read', async (t) => {
  const filler = 'a/b,'.repeat(25_000)
  t.notOk(acceptsEventStream(`${filler}text/event-stream`))
  t.ok(acceptsEventStream(`text/event-stream,${filler}`))
})
