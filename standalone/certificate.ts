import { readFileSync } from 'node:fs'
import { createSecureContext } from 'node:tls'
import type { Environment } from './environment.ts'
import { EnvironmentError } from './values.ts'

/** The certificate of the server and its key, in PEM. */
export interface Certificate {
  readonly cert: Buffer
  readonly key: Buffer
}

/** Reads a certificate and its key, and checks that they belong together. @throws {EnvironmentError} */
export function readCertificate(tls: NonNullable<Environment['tls']>): Certificate {
  const certificate = { cert: read('HUB_TLS_CERT', tls.cert), key: read('HUB_TLS_KEY', tls.key) }
  try {
    createSecureContext(certificate)
  } catch (error) {
    throw new EnvironmentError(
      `HUB_TLS_CERT and HUB_TLS_KEY are not a certificate with its key: ${(error as Error).message}`
    )
  }
  return certificate
}

function read(name: string, path: string): Buffer {
  try {
    return readFileSync(path)
  } catch (error) {
    throw new EnvironmentError(`${name} cannot be read: ${(error as Error).message}`)
  }
}
