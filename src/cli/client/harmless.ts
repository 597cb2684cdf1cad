import { printable } from '../table.ts'

/**
 * Bytes of a stranger as a terminal may show them: what it would obey is written out. A pipe and a file get the bytes themselves.
 * One for each stream: a character may be cut in two.
 */
export function createHarmless(): (bytes: Uint8Array) => string {
  const decoder = new TextDecoder()
  return (bytes) =>
    decoder
      .decode(bytes, { stream: true })
      .split(/([\n\t])/)
      .map((part) => (part === '\n' || part === '\t' ? part : printable(part)))
      .join('')
}
