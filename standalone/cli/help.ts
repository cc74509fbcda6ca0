import { SETTINGS } from '../setting-list.ts'

const COMMANDS = [
  ['fastify-sse-hub [SETTINGS]', 'serves the hub'],
  ['fastify-sse-hub --print-config [SETTINGS]', 'prints all settings in force, without secrets'],
  ['fastify-sse-hub check [SETTINGS]', 'checks the settings'],
  ['fastify-sse-hub listen [--user U] [--topic T]… [--follow T] [--own]', 'opens a stream and prints its events'],
  ['fastify-sse-hub publish DATA --user U | --topic T | --everyone', 'publishes an event; DATA may be -'],
  ['fastify-sse-hub tail --user U | --topic T | --everyone', 'prints events as they are published'],
  ['fastify-sse-hub history --user U | --topic T | --everyone', 'prints retained events'],
  ['fastify-sse-hub ticket --user U [--topic T]… [--ttl MS]', 'issues a ticket'],
  ['fastify-sse-hub key create --id ID --scopes SCOPES', 'makes an API key'],
  ['fastify-sse-hub top [--interval MS]', 'shows live counts']
] as const

const TEXT = `Commands that talk to a hub take --url URL and --key KEY, or SSE_HUB_URL and SSE_HUB_KEY, and --json. Further options:
  listen   --token T, --ticket T, --last-event-id ID, --last N, --count N
  publish  --event NAME, --ttl MS, --collapse-key K, --idempotency-key K, --transient, --inbox, --final
  tail     --after CURSOR, --count N
  history  --after CURSOR, --limit N
Exit codes: 0 done, 1 failed, 2 called in a wrong way.

Settings, each also as an environment variable (--max-streams is HUB_MAX_STREAMS). An option that may hold a secret is visible to
other users of the machine; its variant with -file names a file that holds it. --config names a JSON file of settings.`

/** The text of `--help`. */
export function helpText(): string {
  const settings = SETTINGS.map(({ name, value, help, isSecret }) => {
    const option = `--${name.replace(/^HUB_/, '').toLowerCase().replaceAll('_', '-')}`
    return [`${option} ${value.toUpperCase()}`, isSecret ? `${help} (also ${option}-file)` : help] as const
  })
  const columns = (rows: readonly (readonly [string, string])[], width: number) =>
    rows.map(([name, help]) => `  ${name.padEnd(width)} ${help}`).join('\n')
  return `Usage:\n${columns(COMMANDS, 70)}\n\n${TEXT}\n\n${columns(settings, 36)}`
}
