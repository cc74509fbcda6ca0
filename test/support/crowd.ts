import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { StrictParser } from './strict-parser.ts'

/** Number of simultaneous connection attempts. */
const AT_A_TIME = 100
const HEAD_END = '\r\n\r\n'

/** One of many clients: a bare socket that keeps the received text. */
export class CrowdMember {
  readonly user: string
  readonly socket: Socket
  text = ''
  isGone = false
  #wake: (() => void) | undefined

  constructor(user: string, socket: Socket) {
    this.user = user
    this.socket = socket
    socket.setEncoding('utf8')
    socket.on('data', (text) => {
      this.text += text
      this.#wake?.()
    })
    socket.on('error', () => {})
    socket.on('close', () => {
      this.isGone = true
      this.#wake?.()
    })
  }

  async until(isTrue: () => boolean): Promise<void> {
    while (!isTrue()) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  async has(text: string): Promise<void> {
    await this.until(() => this.text.includes(text) || this.isGone)
    if (!this.text.includes(text)) throw new Error(`gone before ${text}: ${this.text.slice(-500)}`)
  }

  gone(): Promise<void> {
    return this.until(() => this.isGone)
  }

  get head(): string {
    return this.text.slice(0, this.text.indexOf(HEAD_END))
  }

  /** The received body, read as an event stream. */
  get parser(): StrictParser {
    const parser = new StrictParser()
    parser.feed(Buffer.from(this.text.slice(this.text.indexOf(HEAD_END) + HEAD_END.length)))
    return parser
  }
}

/** The address that a crowd connects to. */
export interface HubAddress {
  readonly port: number
  /** The certificate of a hub that speaks TLS. */
  readonly ca?: string | undefined
}

export async function dial({ port, ca }: HubAddress): Promise<Socket> {
  const host = '127.0.0.1'
  const socket =
    ca === undefined ? connect({ port, host }) : connectTls({ port, host, ca, ALPNProtocols: ['http/1.1'] })
  await once(socket, ca === undefined ? 'connect' : 'secureConnect')
  return socket
}

/** The request of a stream; its last byte is a line feed. */
export function streamRequest(user: string, lastEventId?: string): string {
  const resume = lastEventId === undefined ? '' : `Last-Event-ID: ${lastEventId}\r\n`
  // Like a browser, it asks to keep the connection.
  const headers = `Host: localhost\r\nAccept: text/event-stream\r\nConnection: keep-alive\r\n${resume}`
  return `GET /events?user=${user} HTTP/1.1\r\n${headers}\r\n`
}

export async function join(address: HubAddress, user: string, lastEventId?: string): Promise<CrowdMember> {
  const member = new CrowdMember(user, await dial(address))
  member.socket.write(streamRequest(user, lastEventId))
  await member.has('event: hub.welcome')
  return member
}

/** Opens a stream for each user, and resolves after all welcomes. */
export async function gather(address: HubAddress, users: readonly string[]): Promise<CrowdMember[]> {
  const members: CrowdMember[] = []
  for (let at = 0; at < users.length; at += AT_A_TIME) {
    members.push(...(await Promise.all(users.slice(at, at + AT_A_TIME).map((user) => join(address, user)))))
  }
  return members
}
