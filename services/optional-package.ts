import { MissingPackageError } from './errors.ts'

/**
 * Handles the rejection of `import()` of an optional peer: `import('cookie').catch(explainMissing(…))`. Bundlers accept this
 * form where the package is not installed.
 * @param purpose the part of the hub that needs the package, as the subject of a sentence.
 * @throws {MissingPackageError} when the host has not installed the package; else the error itself.
 */
export function explainMissing(purpose: string, name: string): (error: NodeJS.ErrnoException) => never {
  return (error) => {
    const isMissing = error.code === 'ERR_MODULE_NOT_FOUND' && error.message.includes(`'${name}'`)
    throw isMissing ? new MissingPackageError(purpose, name, name) : error
  }
}
