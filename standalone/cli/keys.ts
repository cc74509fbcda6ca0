import { randomBytes } from 'node:crypto'
import { hashSecret } from '../../services/access/api-keys.ts'
import { readApiKeys } from '../read-api-keys.ts'
import { type Command, UsageError } from './command-context.ts'
import { HubApi } from './hub-api.ts'
import { HUB_OPTIONS, numberOf, parse } from './options.ts'

const KEY_BYTES = 32

/** `key create`: makes a key, and the entry of HUB_API_KEYS for it. Talks to no hub. */
export const key: Command = async (args, context) => {
  const { values, positionals } = parse(
    args,
    { id: { type: 'string' }, scopes: { type: 'string' }, json: { type: 'boolean' } },
    true
  )
  if (positionals.join(' ') !== 'create') throw new UsageError('the command is: key create --id ID --scopes SCOPES')
  const { id = 'backend', scopes = 'publish' } = values
  const secret = randomBytes(KEY_BYTES).toString('base64url')
  const entry = `${id}:sha256-${hashSecret(secret).toString('hex')}:${scopes}`
  try {
    readApiKeys(entry)
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
  if (values.json) context.print(JSON.stringify({ id, key: secret, entry }))
  else {
    context.print(secret)
    context.complain(`for HUB_API_KEYS, without the key itself: ${entry}`)
  }
  return 0
}

/** `ticket`: requests a ticket, with a key that has the scope `ticket`, or with a subscriber's token as the key. */
export const ticket: Command = async (args, context) => {
  const { values } = parse(args, {
    ...HUB_OPTIONS,
    user: { type: 'string' },
    topic: { type: 'string', multiple: true },
    ttl: { type: 'string' }
  })
  const { user, topic: topics, json } = values
  const ttl = numberOf('ttl', values.ttl, 1, Number.MAX_SAFE_INTEGER)
  const issued = (await new HubApi(values, context).post('/tickets', { user, topics, ttl })) as { ticket: string }
  context.print(json ? JSON.stringify(issued) : issued.ticket)
  return 0
}
