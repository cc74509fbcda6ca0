import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { createECDH, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import https from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { buffer, text } from 'node:stream/consumers'
import test from 'node:test'
import ece from 'http_ece'
import nodemailer from 'nodemailer'
import { SMTPServer } from 'smtp-server'
import { Webhook } from 'standardwebhooks'
import webPush from 'web-push'
import { receiver } from './receiver.mjs'

const SECRET = `whsec_${randomBytes(32).toString('base64')}`

/** An SMTP server that keeps what it gets. */
async function smtp(t) {
  const mails = []
  const state = { refuses: false }
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS'],
    onData(stream, session, done) {
      text(stream).then((mail) => {
        if (state.refuses) return done(new Error('try later'))
        mails.push({ to: session.envelope.rcptTo.map(({ address }) => address), mail })
        done()
      }, done)
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server.server, 'listening')
  t.after(() => new Promise((resolve) => server.close(resolve)))
  return { mails, state, url: `smtp://127.0.0.1:${server.server.address().port}` }
}

/** A push service with one subscription, which decrypts what it gets. */
async function pushService(t) {
  const folder = mkdtempSync(join(tmpdir(), 'push-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const [keyFile, certFile] = ['key.pem', 'cert.pem'].map((name) => join(folder, name))
  const request = 'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=127.0.0.1'
  const names = ['-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', keyFile, '-out', certFile]
  execFileSync('openssl', [...request.split(' '), ...names], { stdio: 'ignore' })
  const [key, cert] = [readFileSync(keyFile), readFileSync(certFile)]

  const browser = createECDH('prime256v1')
  const p256dh = browser.generateKeys('base64url')
  const auth = randomBytes(16).toString('base64url')
  const pushes = []
  const state = { status: 201 }
  const server = https.createServer({ key, cert }, async (incoming, response) => {
    const body = await buffer(incoming)
    if (state.status === 201) {
      const plain = ece.decrypt(body, { version: 'aes128gcm', privateKey: browser, authSecret: auth })
      pushes.push(JSON.parse(plain.toString()))
    }
    response.writeHead(state.status).end()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const subscription = { endpoint: `https://127.0.0.1:${server.address().port}/alice`, keys: { p256dh, auth } }
  return { pushes, state, subscription, agent: new https.Agent({ ca: cert }) }
}

async function start(t) {
  const [mail, push] = [await smtp(t), await pushService(t)]
  const contacts = new Map([
    ['alice', { email: 'alice@app.example', subscriptions: [push.subscription] }],
    ['bob', { email: 'bob@app.example' }]
  ])
  const app = receiver({
    secret: SECRET,
    contacts,
    mailer: nodemailer.createTransport(mail.url),
    from: 'hub@app.example',
    push: { vapidDetails: { subject: 'mailto:hub@app.example', ...webPush.generateVAPIDKeys() }, agent: push.agent },
    logger: false
  })
  t.after(() => app.close())
  const url = `${await app.listen({ port: 0, host: '127.0.0.1' })}/hooks`
  const deliver = (data, { id = 'msg_1', secret = SECRET } = {}) => {
    const body = JSON.stringify({ type: 'event.undelivered', timestamp: new Date().toISOString(), data })
    const time = new Date()
    const headers = {
      'content-type': 'application/json',
      'webhook-id': id,
      'webhook-timestamp': String(Math.floor(time.getTime() / 1_000)),
      'webhook-signature': new Webhook(secret).sign(id, time, body)
    }
    return fetch(url, { method: 'POST', headers, body }).then(({ status }) => status)
  }
  return { mail, push, contacts, url, deliver }
}

const shipped = { users: ['alice', 'bob', 'nobody'], id: '1.x', event: 'order.shipped', data: '{"number":7}' }

test('users who are away get an e-mail, and a push in each browser', async (t) => {
  const { mail, push, deliver } = await start(t)
  assert.equal(await deliver(shipped), 204)
  assert.deepEqual(mail.mails.map(({ to }) => to).sort(), [['alice@app.example'], ['bob@app.example']])
  assert.match(mail.mails[0].mail, /Subject: You missed: order\.shipped[\s\S]*\{"number":7\}/)
  assert.deepEqual(push.pushes, [{ event: 'order.shipped', data: '{"number":7}' }])
})

test('a webhook that comes twice sends nothing twice, and one that failed sends the rest', async (t) => {
  const { mail, push, deliver } = await start(t)
  mail.state.refuses = true
  assert.equal(await deliver(shipped), 500)
  mail.state.refuses = false
  for (let attempt = 0; attempt < 2; attempt++) assert.equal(await deliver(shipped), 204)
  assert.equal(mail.mails.length, 2)
  assert.equal(push.pushes.length, 1)
})

test('a webhook with another signature sends nothing', async (t) => {
  const { mail, push, deliver } = await start(t)
  assert.equal(await deliver(shipped, { secret: `whsec_${randomBytes(32).toString('base64')}` }), 401)
  assert.equal(mail.mails.length + push.pushes.length, 0)
})

test('a subscription that the push service no longer knows is removed', async (t) => {
  const { contacts, push, deliver } = await start(t)
  push.state.status = 410
  assert.equal(await deliver(shipped), 204)
  assert.deepEqual(contacts.get('alice').subscriptions, [])
})

test('an event of a running hub becomes an e-mail and a push', { skip: !process.env.HUB_SERVER }, async (t) => {
  const { mail, push, url } = await start(t)
  const { HUB_SERVER, ...env } = process.env
  const hub = spawn(process.execPath, [HUB_SERVER], {
    env: { ...env, PORT: '0', HUB_STORE: 'memory', HUB_WEBHOOK_URL: url, HUB_WEBHOOK_SECRET: SECRET },
    stdio: ['ignore', 'pipe', 'inherit']
  })
  t.after(() => hub.kill('SIGKILL'))
  let address
  for await (const line of createInterface(hub.stdout)) {
    address = /open (http:\S+)\//.exec(line)?.[1]
    if (address !== undefined) break
  }
  const response = await fetch(`${address}/users/alice/events`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"event":"order.shipped","data":{"number":8}}'
  })
  assert.equal(response.status, 202)
  const deadline = Date.now() + 10_000
  while ((mail.mails.length === 0 || push.pushes.length === 0) && Date.now() < deadline)
    await new Promise((resolve) => setTimeout(resolve, 20))
  assert.deepEqual(push.pushes, [{ event: 'order.shipped', data: '{"number":8}' }])
  assert.deepEqual(mail.mails[0]?.to, ['alice@app.example'])
})
