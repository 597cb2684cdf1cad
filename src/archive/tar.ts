import type { Account } from './budget.ts'
import { type ByteReader, createByteReader } from './byte-reader.ts'
import { ArchiveError } from './error.ts'
import { globalRecords, type PaxRecords, parsePax, paxAttributes, paxNumber } from './pax.ts'
import {
  BLOCK,
  type FileKind,
  isHeaderOnly,
  isZero,
  kindOf,
  parseHeader,
  type RawHeader,
  textOf,
} from './tar-header.ts'

/** A file as the archive describes it; names are as they stand there, and may be anything. */
export interface TarEntry {
  name: string
  kind: FileKind
  /** Bytes. */
  size: number
  /** Permissions, as chmod takes them. */
  mode: number
  uid: number
  gid: number
  /** Seconds since the epoch. */
  modified: number
  /** Target of a link; empty for all else. */
  link: string
  /** Extended attributes, `name=value` a line. */
  attributes: string
  /** Its bytes are a map and what it names: nothing here puts them together. */
  isSparse: boolean
}

export interface TarFile {
  entry: TarEntry
  /** Its bytes; only until the next entry is asked for, which passes the rest by. */
  content: AsyncIterable<Uint8Array>
}

/** What was said of the next file before its own header. */
interface Before {
  records: PaxRecords
  name?: string
  link?: string
}

const NOTHING: Before = { records: new Map() }

/**
 * Reads a tar archive as a stream: ustar, pax and GNU's, nothing of it kept. `needsEnd`: the stream must say where it ends (two
 * blocks of zeros), which some programs leave out. Read to the end, the stream below is at its end, too.
 * @throws ArchiveError
 */
export async function* readTar(
  bytes: AsyncIterable<Uint8Array>,
  account: Account,
  { needsEnd = false }: { needsEnd?: boolean } = {},
): AsyncGenerator<TarFile, undefined> {
  const reader = createByteReader(bytes)
  const damaged = (reason: string) => new ArchiveError('damaged', `${account.what} is damaged: ${reason}`)
  const early = () => damaged('it ends in the middle of a file')

  /** What describes the next file, which is held in memory. */
  async function described(size: number): Promise<Buffer> {
    if (size > account.limits.header) {
      throw new ArchiveError('limit', `${account.what} has a header of ${size} bytes before a file`, {
        hint: `no real file needs one; to read it all the same add --limit header=${size}`,
      })
    }
    const found = await reader.exactly(size)
    if (found === undefined || !(await reader.skip(paddingOf(size)))) throw early()
    return found
  }

  async function records(size: number): Promise<PaxRecords> {
    const found = parsePax(await described(size))
    if (found === undefined) throw damaged('it has a pax header that cannot be read')
    return found
  }

  let global: PaxRecords = new Map()
  let before = NOTHING
  let isFirst = true
  try {
    for (;;) {
      const block = await reader.exactly(BLOCK)
      if (block === undefined) {
        if (before !== NOTHING) throw early()
        if (needsEnd) throw damaged('it ends too early')
        return undefined
      }
      if (isZero(block)) break
      const header = parseHeader(block)
      if (header === undefined) {
        if (isFirst) throw new ArchiveError('unsupported', `${account.what} is no tar archive`)
        throw damaged('it has something else where a file should begin')
      }
      isFirst = false
      const { flag, stored } = header
      if (flag === 'g') global = new Map([...global, ...globalRecords(await records(stored))])
      else if (flag === 'x' || flag === 'X') before = { ...before, records: await records(stored) }
      else if (flag === 'L') before = { ...before, name: longText(await described(stored)) }
      else if (flag === 'K') before = { ...before, link: longText(await described(stored)) }
      else if (flag === 'V' || flag === 'M' || flag === 'N') {
        if (!(await reader.skip(stored + paddingOf(stored)))) throw early()
        before = NOTHING
      } else {
        const all = new Map([...global, ...before.records])
        const isMapped = flag === 'S' && header.isMapContinued
        for (let more = isMapped; more; ) {
          const map = await reader.exactly(BLOCK)
          if (map === undefined) throw early()
          more = map[504] === 1
        }
        const size = isHeaderOnly(flag) ? 0 : (paxNumber(all, 'size') ?? stored)
        if (size < 0) throw damaged('it has a file of less than nothing')
        const entry = entryOf(header, all, before, size)
        check(entry, account)
        before = NOTHING
        const body = bodyOf(reader, size, early)
        yield { entry, content: body.content }
        if (!(await reader.skip(body.left() + paddingOf(size)))) throw early()
      }
    }
    await reader.drain()
  } finally {
    await reader.close()
  }
}

function bodyOf(reader: ByteReader, size: number, early: () => ArchiveError) {
  let left = size
  async function* content(): AsyncGenerator<Uint8Array, undefined> {
    while (left > 0) {
      const part = await reader.some(left)
      if (part === undefined) throw early()
      left -= part.byteLength
      yield part
    }
  }
  return { content: content(), left: () => left }
}

function entryOf(header: RawHeader, pax: PaxRecords, before: Before, stored: number): TarEntry {
  const { flag, mode } = header
  const name = pax.get('GNU.sparse.name') ?? pax.get('path') ?? before.name ?? header.name
  const kind = kindOf(flag, name)
  const isSparse =
    flag === 'S' || pax.has('GNU.sparse.major') || pax.has('GNU.sparse.map') || pax.has('GNU.sparse.size')
  const real =
    flag === 'S'
      ? header.realSize
      : (paxNumber(pax, 'GNU.sparse.realsize') ?? paxNumber(pax, 'GNU.sparse.size') ?? stored)
  return {
    ...{ name, kind, mode, isSparse },
    size: kind !== 'file' ? 0 : isSparse ? real : stored,
    uid: paxNumber(pax, 'uid') ?? header.uid,
    gid: paxNumber(pax, 'gid') ?? header.gid,
    modified: paxNumber(pax, 'mtime') ?? header.modified,
    link: kind === 'link' || kind === 'symlink' ? (pax.get('linkpath') ?? before.link ?? header.link) : '',
    attributes: paxAttributes(pax),
  }
}

function check({ name, link, attributes }: TarEntry, account: Account): void {
  for (const text of [name, link]) {
    const size = Buffer.byteLength(text)
    if (size > account.limits.name) {
      throw new ArchiveError('limit', `${account.what} has a name of ${size} bytes`, {
        hint: `no system takes one; to read it all the same add --limit name=${size}`,
      })
    }
  }
  account.entry(name.length + link.length + attributes.length)
}

/** What GNU tar writes in place of a name that no header holds. */
export function longText(bytes: Buffer): string {
  const end = bytes.indexOf(0)
  return textOf(end === -1 ? bytes : bytes.subarray(0, end))
}

function paddingOf(size: number): number {
  return (BLOCK - (size % BLOCK)) % BLOCK
}
