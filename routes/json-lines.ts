import { STATUS_CODES } from 'node:http'
import { Readable } from 'node:stream'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { InvalidRequestError, LineTooLargeError, UnsupportedTypeError } from '../services/errors.ts'
import { complexityError } from './json-body.ts'

/** The media type of values in JSON, one on each line. */
export const JSON_LINES = 'application/x-ndjson'
/** How many lines are answered together at most. */
const TOGETHER = 256
const NEWLINE = 0x0a

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The route takes a body of JSON lines: it is read line by line, and not counted among the bodies in memory. */
    takesLines?: boolean
  }
}

/** A line that is longer than the route allows; its text is gone. */
const TOO_LARGE = Symbol('line too large')
type Line = string | typeof TOO_LARGE

/** Accepts bodies of JSON lines for the routes that take them. */
export function takeJsonLines(app: FastifyInstance): void {
  app.addContentTypeParser(JSON_LINES, (request, payload, done) => {
    if (request.routeOptions.config.takesLines) done(null, payload)
    else done(new UnsupportedTypeError(JSON_LINES))
  })
}

/** Whether a request has such a body, for a route that takes it. */
export function hasJsonLines({ headers, routeOptions }: FastifyRequest): boolean {
  return (
    routeOptions.config.takesLines === true && headers['content-type']?.toLowerCase().startsWith(JSON_LINES) === true
  )
}

/**
 * Checks the value of a line, and resolves with a function that executes it. The next line is checked once that function was
 * called, so that lines are executed in their order.
 */
export type LineHandler = (value: unknown, index: number) => Promise<() => Promise<object>>

/**
 * Answers each line of the body with a line, in order: the result of its handler, or its error in Fastify's form. The body is read
 * no faster than the client reads the answers.
 */
export function answerLines(
  request: FastifyRequest,
  reply: FastifyReply,
  maxBytes: number,
  handle: LineHandler
): FastifyReply {
  const parse = request.server.getDefaultJsonParser('error', 'error')
  const parsed = (line: string): unknown => {
    const complexity = complexityError(line)
    if (complexity !== undefined) throw complexity
    let value: unknown
    // Fastify's parser calls back at once.
    void parse(request, line, (error, body) => {
      if (error !== null) throw new InvalidRequestError(`The line is not JSON: ${error.message}`)
      value = body
    })
    return value
  }
  let count = 0
  const checked = async (line: Line, index: number): Promise<() => Promise<object>> => {
    if (line === TOO_LARGE) throw new LineTooLargeError(maxBytes)
    return handle(parsed(line), index)
  }
  const answerAll = async (lines: readonly Line[]): Promise<string> => {
    const answers: Promise<object>[] = []
    for (const line of lines) {
      const execute = await checked(line, count++).catch((error: Error) => async () => refusal(error))
      answers.push(execute().catch(refusal))
    }
    return (await Promise.all(answers)).map((answer) => `${JSON.stringify(answer)}\n`).join('')
  }
  const answers = async function* () {
    for await (const lines of linesOf(request.body as Readable, maxBytes)) yield answerAll(lines)
  }
  // The header keeps nginx from collecting the answers.
  return reply.code(200).type(JSON_LINES).header('x-accel-buffering', 'no').send(Readable.from(answers()))
}

function refusal(error: Error & { statusCode?: number; code?: string }): object {
  const { statusCode = 500, code, message } = error
  return { statusCode, code, error: STATUS_CODES[statusCode], message }
}

/** The lines of a body, as many at a time as have arrived, without empty ones. Ends where the client has left. */
async function* linesOf(body: Readable, maxBytes: number): AsyncGenerator<Line[]> {
  let begun: Buffer[] = []
  let bytes = 0
  const end = (rest: Buffer): Line => {
    const line = bytes + rest.length > maxBytes ? TOO_LARGE : Buffer.concat([...begun, rest]).toString()
    begun = []
    bytes = 0
    return line
  }
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      let lines: Line[] = []
      let start = 0
      for (let at = chunk.indexOf(NEWLINE); at !== -1; at = chunk.indexOf(NEWLINE, start)) {
        const line = end(chunk.subarray(start, at))
        start = at + 1
        if (line !== TOO_LARGE && line.trim() === '') continue
        lines.push(line)
        if (lines.length < TOGETHER) continue
        yield lines
        lines = []
      }
      if (lines.length > 0) yield lines
      // Of a line that is too long, only the length matters.
      if (bytes <= maxBytes) begun.push(chunk.subarray(start))
      else begun = []
      bytes += chunk.length - start
    }
  } catch {
    // The client has left: there is no one to answer.
    return
  }
  const last = end(Buffer.alloc(0))
  if (last === TOO_LARGE || last.trim() !== '') yield [last]
}
