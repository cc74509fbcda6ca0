// `npm start`: the variables are in README.md.
import { readFileSync } from 'node:fs'
import nodemailer from 'nodemailer'
import { receiver } from './receiver.mjs'

const { WEBHOOK_SECRET, SMTP_URL, MAIL_FROM, VAPID_PUBLIC_KEY, VAPID_PRIVATE_KEY, CONTACTS } = process.env

const app = receiver({
  secret: WEBHOOK_SECRET,
  contacts: new Map(Object.entries(JSON.parse(readFileSync(CONTACTS, 'utf8')))),
  mailer: nodemailer.createTransport(SMTP_URL),
  from: MAIL_FROM,
  push: VAPID_PUBLIC_KEY && {
    vapidDetails: { subject: `mailto:${MAIL_FROM}`, publicKey: VAPID_PUBLIC_KEY, privateKey: VAPID_PRIVATE_KEY }
  }
})
await app.listen({ port: Number(process.env.PORT ?? 8080) })
