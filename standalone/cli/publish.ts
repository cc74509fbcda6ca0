import { type Command, UsageError } from './command-context.ts'
import { HubApi } from './hub-api.ts'
import { HUB_OPTIONS, numberOf, parse } from './options.ts'

interface Receipt {
  readonly id: string | null
  readonly streams: number
}

/** `publish DATA`: publishes one event, and prints its receipt. The data is sent as it is; `-` reads it from the input. */
export const publish: Command = async (args, context) => {
  const { values, positionals } = parse(
    args,
    {
      ...HUB_OPTIONS,
      user: { type: 'string', multiple: true },
      topic: { type: 'string', multiple: true },
      everyone: { type: 'boolean' },
      event: { type: 'string' },
      ttl: { type: 'string' },
      'collapse-key': { type: 'string' },
      'idempotency-key': { type: 'string' },
      transient: { type: 'boolean' },
      inbox: { type: 'boolean' },
      final: { type: 'boolean' }
    },
    true
  )
  const [text, ...more] = positionals
  if (text === undefined || more.length > 0) throw new UsageError('name the data as one argument, or - for the input')
  const { user: users, topic: topics, everyone, event, transient, inbox, final } = values
  if ([users, topics, everyone].every((given) => given === undefined))
    throw new UsageError('name --user, --topic or --everyone')
  const draft = {
    to: { users, topics, everyone },
    data: text === '-' ? await context.readInput() : text,
    ttl: numberOf('ttl', values.ttl, 1, Number.MAX_SAFE_INTEGER),
    collapseKey: values['collapse-key'],
    idempotencyKey: values['idempotency-key'],
    ...{ event, transient, inbox, final }
  }
  const [receipt] = (await new HubApi(values, context).post('/events', [draft])) as [Receipt]
  context.print(values.json ? JSON.stringify(receipt) : `${receipt.id ?? '(transient)'} to ${receipt.streams} streams`)
  return 0
}
