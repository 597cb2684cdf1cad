import { CommandError } from './error.ts'

/**
 * What came in from standard input, as text. Other bytes would quietly become another password.
 * @throws CommandError
 */
export function textOfInput(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    throw new CommandError('standard input is no text in UTF-8; nothing is changed')
  }
}
