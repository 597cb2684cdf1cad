import { hashKind } from './password.ts'

/** Text of an htpasswd file as its bytes (latin1), so that what is not touched stays as it is, in whatever encoding. */

export interface HtpasswdEntry {
  name: string
  hash: string
}

interface Line {
  /** Without its line end. */
  text: string
  /** Undefined: a comment or a blank line. */
  name: string | undefined
}

/** Why no line of a file can be of that user; undefined when one can. */
export function nameFault(name: string): string | undefined {
  if (name === '') return 'a name cannot be empty'
  if (name.includes(':')) return 'a name cannot hold a colon'
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what a name must not hold.
  if (/[\u0000-\u001f\u007f]/.test(name)) return 'a name cannot hold control characters'
  if (name.trim() !== name) return 'a name cannot begin or end with space'
  if (name.startsWith('#')) return 'a name cannot begin with #, which makes a line a comment'
  return Buffer.byteLength(name) > 255 ? 'a name has at most 255 bytes' : undefined
}

/** The last line of a name is the one that counts. @throws Error naming the line that has no colon. */
export function entriesOf(text: string): HtpasswdEntry[] {
  const entries = new Map<string, HtpasswdEntry>()
  for (const { name, text: line } of linesOf(text)) {
    if (name === undefined) continue
    entries.delete(name)
    entries.set(name, { name: decoded(name), hash: line.trim().slice(name.length + 1) })
  }
  return [...entries.values()]
}

/** With one line of that name: in the place of the first, or at the end. @throws Error as `entriesOf` */
export function withEntry(text: string, name: string, hash: string): string {
  const wanted = encoded(name)
  const lines = linesOf(text)
  const place = lines.findIndex((line) => line.name === wanted)
  const own = `${wanted}:${hash}`
  if (place === -1) {
    const end = text === '' || text.endsWith('\n') ? '' : '\n'
    return `${text}${end}${own}\n`
  }
  const kept = lines.flatMap((line, index) => {
    if (index === place) return [{ ...line, text: line.text.endsWith('\r') ? `${own}\r` : own }]
    return line.name === wanted ? [] : [line]
  })
  return joined(kept)
}

/** Without any line of that name; undefined when there is none. @throws Error as `entriesOf` */
export function withoutEntry(text: string, name: string): string | undefined {
  const lines = linesOf(text)
  const kept = lines.filter((line) => line.name !== encoded(name))
  return kept.length === lines.length ? undefined : joined(kept)
}

/** How a hash was made, in a word; it shows nothing of it. */
export function kindOf(hash: string): string {
  const known = hashKind(hash)
  if (known !== undefined) return known
  if (hash.startsWith('$apr1$')) return 'apr1 (MD5)'
  if (hash.startsWith('{SHA}')) return 'SHA-1'
  if (hash.startsWith('$5$')) return 'SHA-256'
  if (hash.startsWith('$6$')) return 'SHA-512'
  return /^[./A-Za-z0-9]{13}$/.test(hash) ? 'crypt' : 'unknown'
}

function linesOf(text: string): Line[] {
  return text.split('\n').map((line, index) => {
    const content = line.trim()
    if (content === '' || content.startsWith('#')) return { text: line, name: undefined }
    const colon = content.indexOf(':')
    if (colon === -1) throw new Error(`line ${index + 1} is not "name:hash"`)
    return { text: line, name: content.slice(0, colon) }
  })
}

const joined = (lines: readonly Line[]): string => lines.map(({ text }) => text).join('\n')
const encoded = (name: string): string => Buffer.from(name, 'utf8').toString('latin1')
const decoded = (name: string): string => Buffer.from(name, 'latin1').toString('utf8')
