import t from 'tap'
import { buildHub } from '../support/build.ts'
import { installPython, PythonProgram } from '../support/python.ts'

t.setTimeout(300_000)

/** Maximum delay of an event that a client dispatches at once, on a machine under load, in milliseconds. */
const AT_ONCE = 5_000

/** Prints a line for each event, at the moment in which the client dispatches it. */
const READ_EVENTS = `
import sys, requests, sseclient
response = requests.get(sys.argv[1], stream=True, headers={'Accept': 'text/event-stream'})
for event in sseclient.SSEClient(response).events():
    print(event.event, event.data, event.id, sep='|')
print('the end')
`

const python = installPython(t, ['requests==2.*', 'sseclient-py==1.*'])

t.test(
  'a Python client without a proxy dispatches each event before the next is sent',
  { skip: python.missing },
  async (t) => {
    if (python.missing !== false) return
    const host = await buildHub(t)
    const url = `${await host.listen()}/events?user=alice`
    const client = new PythonProgram(t, python.path, READ_EVENTS, [url])
    t.match(await client.line(30_000), /^hub\.welcome\|/)
    for (const data of ['x', 'a longer one, with ☃ in it', 'y'.repeat(600), 'z'.repeat(60_000)]) {
      const { id } = await host.app.sse.send('alice', { data })
      t.equal(await client.line(AT_ONCE), `message|${data}|${id}`)
    }
    t.equal(await host.app.sse.disconnect('alice'), 1)
    t.match(await client.line(AT_ONCE), /^hub\.close\|/)
    t.equal(await client.line(AT_ONCE), 'the end', 'the response is complete')
  }
)
