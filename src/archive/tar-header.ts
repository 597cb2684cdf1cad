/** POSIX.1-2017 pax, "ustar Interchange Format", with the additions of GNU tar. */

export type FileKind = 'file' | 'directory' | 'symlink' | 'link' | 'character' | 'block' | 'fifo'

export const BLOCK = 512

/** A header block as it stands; what pax says besides comes on top. */
export interface RawHeader {
  name: string
  link: string
  /** The type's character. */
  flag: string
  /** Bytes that follow. */
  stored: number
  mode: number
  uid: number
  gid: number
  /** Seconds since the epoch. */
  modified: number
  /** GNU's old form of sparse files: another block of its map follows, and how many bytes the file has. */
  isMapContinued: boolean
  realSize: number
}

const KINDS: Readonly<Record<string, FileKind>> = {
  ...{ '0': 'file', '\0': 'file', '7': 'file', S: 'file' },
  ...{ '1': 'link', '2': 'symlink', '3': 'character', '4': 'block', '5': 'directory', '6': 'fifo', D: 'directory' },
}

/** What an unknown type is, is a file (POSIX: "treated as if a regular file"); old tars end a directory's name with a slash. */
export function kindOf(flag: string, name: string): FileKind {
  const kind = KINDS[flag] ?? 'file'
  return kind === 'file' && name.endsWith('/') ? 'directory' : kind
}

/** Types that have no bytes behind their header, whatever its size says. */
export function isHeaderOnly(flag: string): boolean {
  return '123456'.includes(flag)
}

export function isZero(block: Uint8Array): boolean {
  return block.every((byte) => byte === 0)
}

/** Undefined: this is no header. */
export function parseHeader(block: Buffer): RawHeader | undefined {
  if (!hasChecksum(block)) return undefined
  const stored = numberAt(block, 124, 12)
  const numbers = [numberAt(block, 100, 8), numberAt(block, 108, 8), numberAt(block, 116, 8), numberAt(block, 136, 12)]
  if (stored === undefined || stored < 0) return undefined
  const [mode = 0, uid = 0, gid = 0, modified = 0] = numbers
  // `ustar\0` is POSIX, `ustar ` GNU, which has other things where POSIX has a prefix of the name.
  const magic = block.toString('latin1', 257, 263)
  const prefix = magic === 'ustar\0' ? textAt(block, 345, 155) : ''
  const name = textAt(block, 0, 100)
  return {
    name: prefix === '' ? name : `${prefix}/${name}`,
    link: textAt(block, 157, 100),
    flag: String.fromCharCode(block[156] ?? 0),
    ...{ stored, mode: mode & 0o7777, uid, gid, modified },
    isMapContinued: block[482] === 1,
    realSize: numberAt(block, 483, 12) ?? stored,
  }
}

/** Some old programs summed signed bytes. */
function hasChecksum(block: Buffer): boolean {
  const said = numberAt(block, 148, 8)
  let unsigned = 0
  let signed = 0
  for (let at = 0; at < BLOCK; at++) {
    const byte = at >= 148 && at < 156 ? 32 : (block[at] ?? 0)
    unsigned += byte
    signed += (byte << 24) >> 24
  }
  return said === unsigned || said === signed
}

/** Octal digits, or GNU's base 256; undefined for neither, or for more than a number can hold. */
function numberAt(block: Buffer, at: number, length: number): number | undefined {
  const first = block[at] ?? 0
  if ((first & 0x80) !== 0) {
    let value = first & 0x40 ? BigInt(first & 0x7f) - 0x80n : BigInt(first & 0x7f)
    for (let index = 1; index < length; index++) value = (value << 8n) | BigInt(block[at + index] ?? 0)
    const number = Number(value)
    return Number.isSafeInteger(number) ? number : undefined
  }
  const text = block.toString('latin1', at, at + length).replace(/^[ \0]+|[ \0]+$/g, '')
  if (text === '') return 0
  return /^[0-7]+$/.test(text) ? Number.parseInt(text, 8) : undefined
}

function textAt(block: Buffer, at: number, length: number): string {
  const field = block.subarray(at, at + length)
  const end = field.indexOf(0)
  return textOf(end === -1 ? field : field.subarray(0, end))
}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Bytes that are no UTF-8 are shown as `\xNN`: two names must not become one. */
export function textOf(bytes: Uint8Array): string {
  try {
    return UTF8.decode(bytes)
  } catch {
    const signs = [...bytes].map((byte) => (byte < 0x80 ? String.fromCharCode(byte) : `\\x${byte.toString(16)}`))
    return signs.join('')
  }
}
