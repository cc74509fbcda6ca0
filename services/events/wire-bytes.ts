const CRLF = '\r\n'

/**
 * The bytes of one write, encoded once for any number of streams. They are framed as one chunk of HTTP/1.1 (RFC 9112 §7.1),
 * because some clients hold back the bytes of a body without chunks. A sink of another protocol takes them without the frame.
 * Both are views of the same memory.
 */
export class WireBytes {
  /** The bytes as one chunk. */
  readonly chunk: Buffer
  readonly #begin: number
  #plain: Buffer | undefined

  /** @param text at least one character: an empty chunk would end the body. */
  constructor(text: string) {
    const length = Buffer.byteLength(text)
    const size = length.toString(16) + CRLF
    this.#begin = size.length
    this.chunk = Buffer.allocUnsafe(size.length + length + CRLF.length)
    this.chunk.write(size, 0, 'latin1')
    this.chunk.write(text, size.length, 'utf8')
    this.chunk.write(CRLF, size.length + length, 'latin1')
  }

  /** The bytes without the frame. */
  get plain(): Buffer {
    this.#plain ??= this.chunk.subarray(this.#begin, -CRLF.length)
    return this.#plain
  }
}

/** The chunk that ends a chunked body. */
export const LAST_CHUNK: Buffer = Buffer.from('0\r\n\r\n')
