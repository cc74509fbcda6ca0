import { existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { freePort } from './free-port.ts'
import { startProgram, without } from './programs.ts'
import { selfSigned } from './self-signed.ts'
import { allSnippets } from './snippets.ts'

/** Addresses of a proxy that runs. */
export interface Proxy {
  /** Over HTTP/1.1, without TLS. */
  readonly plain: string
  /** Over HTTP/2, with TLS. */
  readonly secure: string
}

/** The names by which a configuration is put around the one of the documentation. */
interface Frame {
  readonly folder: string
  readonly plain: number
  readonly secure: number
  /** The configuration of `docs/proxies.md`, with another hub and another timeout. */
  readonly documented: string
}

export interface ProxyProgram {
  readonly name: string
  /** The language of its block in `docs/proxies.md`. */
  readonly language: string
  readonly skip: string | false
  /** How many streams one HTTP/2 connection carries, where that is few. */
  readonly maxStreams?: number
  readonly configuration: (frame: Frame) => string
  readonly command: (path: string, folder: string) => string[]
}

const APACHE_MODULES = ['mpm_event', 'authz_core', 'proxy', 'proxy_http', 'ssl', 'http2']

/** The proxies of `docs/proxies.md`, with their default buffering. */
export const PROXIES: readonly ProxyProgram[] = [
  {
    name: 'nginx',
    language: 'nginx',
    skip: without('nginx', { version: '-v', install: 'apt-get install nginx-light' }),
    configuration: ({ folder, plain, secure, documented }) => `
pid ${folder}/pid;
events {}
http {
  access_log off;
  ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${folder}/${name};`).join('\n')}
  server {
    listen 127.0.0.1:${plain};
    listen 127.0.0.1:${secure} ssl http2;
    ssl_certificate ${folder}/cert.pem;
    ssl_certificate_key ${folder}/key.pem;
    ${documented}
  }
}`,
    command: (path, folder) => [
      ...['nginx', '-p', folder, '-c', path, '-e', 'stderr'],
      ...['-g', 'daemon off; master_process off;']
    ]
  },
  {
    name: 'HAProxy',
    language: 'haproxy',
    skip: without('haproxy', { version: '-v' }),
    configuration: ({ folder, plain, secure, documented }) => `
defaults
  mode http
  timeout connect 5s
  timeout client 60s
frontend all
  bind 127.0.0.1:${plain}
  bind 127.0.0.1:${secure} ssl crt ${folder}/both.pem alpn h2,http/1.1
  default_backend hub
${documented}`,
    command: (path) => ['haproxy', '-db', '-f', path]
  },
  {
    name: 'Caddy',
    language: 'caddyfile',
    skip: without('caddy', { version: 'version' }),
    configuration: ({ folder, plain, secure, documented }) => `
{
	admin off
	auto_https off
	storage file_system ${folder}
}
${documented.replace('hub.example.com', `http://127.0.0.1:${plain}`)}
${documented.replace('hub.example.com {', `https://localhost:${secure} {\n\ttls ${folder}/cert.pem ${folder}/key.pem`)}`,
    command: (path) => ['caddy', 'run', '--config', path, '--adapter', 'caddyfile']
  },
  {
    name: 'Apache',
    language: 'apache',
    skip: without('apache2', { version: '-v' }),
    maxStreams: 6,
    configuration: ({ folder, plain, secure, documented }) => `
ServerName localhost
DefaultRuntimeDir ${folder}
PidFile ${folder}/pid
ErrorLog ${folder}/error.log
User www-data
Group www-data
${APACHE_MODULES.map((name) => `LoadModule ${name}_module /usr/lib/apache2/modules/mod_${name}.so`).join('\n')}
Listen 127.0.0.1:${plain}
Listen 127.0.0.1:${secure}
Protocols h2 http/1.1
${documented}
<VirtualHost 127.0.0.1:${secure}>
  SSLEngine on
  SSLCertificateFile ${folder}/cert.pem
  SSLCertificateKeyFile ${folder}/key.pem
  ${documented}
</VirtualHost>`,
    command: (path) => ['apache2', '-X', '-f', path]
  }
]

/** Starts a proxy before a hub, configured as documented except for the address and the seconds of its timeout. */
export async function startProxy(t: Test, program: ProxyProgram, hub: string, seconds: number): Promise<Proxy> {
  const folder = mkdtempSync(join(tmpdir(), 'sse-hub-proxy-'))
  mkdirSync(join(folder, 'logs'))
  const { key, cert } = selfSigned()
  for (const [name, text] of Object.entries({ key, cert, both: cert + key }))
    writeFileSync(join(folder, `${name}.pem`), text)
  const [plain, secure] = [await freePort(), await freePort()]
  const path = join(folder, 'configuration')
  // The timeout first: the port of the hub may contain its digits.
  const documented = configurationOf(program)
    .replace('60', `${seconds}`)
    .replaceAll('127.0.0.1:3000', new URL(hub).host)
  writeFileSync(path, program.configuration({ folder, plain, secure, documented }))
  const env = { HOME: folder, XDG_CONFIG_HOME: folder }
  const { child, complaints } = startProgram(t, program.command(path, folder), { folder, env })
  const log = join(folder, 'error.log')
  const logged = () => (existsSync(log) ? readFileSync(log, 'utf8') : '')
  for (const port of [plain, secure])
    while (!(await listensAt(port))) {
      if (child.exitCode !== null) throw new Error(`${program.name} ended: ${complaints()}${logged()}`)
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  return { plain: `http://127.0.0.1:${plain}`, secure: `https://localhost:${secure}` }
}

function configurationOf({ language }: ProxyProgram): string {
  const isOf = ({ where }: { where: string }) => where.startsWith('docs/proxies.md:')
  const snippet = allSnippets().find((snippet) => isOf(snippet) && snippet.language === language)
  if (snippet === undefined || !snippet.code.includes('60')) throw new Error(`docs/proxies.md has no ${language}`)
  return snippet.code
}

function listensAt(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy()
      resolve(true)
    }).on('error', () => resolve(false))
  })
}
