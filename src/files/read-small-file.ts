import { fstatSync, statSync } from 'node:fs'
import { isatty } from 'node:tty'
import { readUpTo } from './read-up-to.ts'

/** What a shell makes of `<(…)` and `/dev/stdin`: whoever is at the other end was started with us. */
const INHERITED = /^\/(dev\/(stdin|fd\/\d+)|proc\/(self|\d+)\/fd\/\d+)$/

/** Such a pipe gives its bytes once, and a program may ask for them at several places. */
const piped = new Map<string, Buffer>()

/**
 * A file that somebody names, at once: of credentials, certificates, keys.
 * @throws Error of the system, or one that says why it is not read: a terminal, or a named pipe, of which nobody knows
 * whether there will ever be a byte (to wait for it, here, is to be deaf to signals), or more than `limit` bytes
 */
export function readSmallFile(path: string, limit: number): Buffer {
  const kept = piped.get(path)
  if (kept !== undefined) return kept
  const isPipe = statSync(path).isFIFO()
  if (isPipe && !INHERITED.test(path)) throw new Error('it is a named pipe, and no file')
  const bytes = readUpTo(path, limit + 1, (fd) => {
    if (fstatSync(fd).isCharacterDevice() && isatty(fd)) throw new Error('it is a terminal, and no file')
  })
  if (bytes.byteLength > limit) throw new Error(`it has more than ${limit} bytes`)
  if (isPipe) piped.set(path, bytes)
  return bytes
}
