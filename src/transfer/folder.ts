import { closeSync, openSync, readSync, realpathSync, statSync } from 'node:fs'
import { join, posix } from 'node:path'
import { parsePax, paxNumber } from '../archive/pax.ts'
import { longText } from '../archive/tar.ts'
import { BLOCK, isHeaderOnly, isZero, kindOf, parseHeader } from '../archive/tar-header.ts'
import { UpstreamError } from '../upstream/error.ts'
import { untilAborted } from './until-aborted.ts'

/** Files below one place, which may be a directory or a tar archive of it. Paths are relative, with slashes. */
export interface Folder {
  /** As errors name it. */
  name: string
  /** Bytes of a file; undefined: there is none. */
  size(path: string): number | undefined
  /** Bytes of a file from `start` on. @throws UpstreamError `not-found` */
  open(path: string, start?: number): AsyncIterable<Uint8Array>
}

/** What may be a link to a file elsewhere, as build systems make layouts: a blob has a digest, and the others are never sent. */
const LINKED = /^(?:blobs\/.*|index\.json|manifest\.json|oci-layout)$/s

/** Nothing outside of it is read: `../` never leads there, and links do not but for those. `signal` ends the reading. */
export function directoryFolder(path: string, signal?: AbortSignal | undefined): Folder {
  const root = realpathSync(path)
  function find(file: string): { place: string; size: number } | undefined {
    const named = normal(file)
    try {
      const place = realpathSync(join(root, named))
      const stat = statSync(place)
      const mayBeRead = place.startsWith(join(root, '/')) || LINKED.test(named)
      return mayBeRead && stat.isFile() ? { place, size: stat.size } : undefined
    } catch {
      return undefined
    }
  }
  return {
    name: path,
    size: (file) => find(file)?.size,
    async *open(file, start = 0) {
      const found = find(file)
      if (found === undefined) throw new UpstreamError('not-found', `${path} has no ${file}`)
      const { place, size } = found
      if (size > start) yield* untilAborted(Bun.file(place).slice(start, size).stream(), signal)
    },
  }
}

/** Where a file of an archive lies. */
interface Place {
  offset: number
  size: number
  /** A link leads to another one. */
  link?: string
}

/** Links that lead to links. */
const MAX_LINKS = 10
/** Bytes before a file that describe it. */
const MAX_DESCRIPTION = 1024 * 1024

/** Reads the headers, and nothing between. `name`: as errors name it; `signal` ends the reading. @throws UpstreamError `invalid` */
export function tarFolder(path: string, name: string, signal?: AbortSignal | undefined): Folder {
  const places = placesIn(path, name)

  function find(file: string): Place | undefined {
    let at = file
    for (let links = 0; links < MAX_LINKS; links++) {
      const place = places.get(at)
      if (place?.link === undefined) return place
      at = place.link
    }
    return undefined
  }

  return {
    name,
    size: (file) => find(file)?.size,
    async *open(file, start = 0) {
      const place = find(file)
      if (place === undefined) throw new UpstreamError('not-found', `${name} has no ${file}`)
      const { offset, size } = place
      if (size <= start) return
      const part = Bun.file(path).slice(offset + start, offset + size)
      yield* untilAborted(part.stream(), signal)
    },
  }
}

function placesIn(path: string, name: string): Map<string, Place> {
  const places = new Map<string, Place>()
  const end = statSync(path).size
  const file = openSync(path, 'r')
  const damaged = (reason: string) => new UpstreamError('invalid', `${name} ${reason}`)
  const read = (at: number, size: number): Buffer => {
    const bytes = Buffer.alloc(size)
    if (at + size > end || readSync(file, bytes, 0, size, at) !== size) throw damaged('is damaged: it ends too early')
    return bytes
  }
  try {
    let long: { path?: string; linkpath?: string; size?: number } = {}
    for (let at = 0; at + BLOCK <= end; ) {
      const block = read(at, BLOCK)
      if (isZero(block)) break
      const header = parseHeader(block)
      if (header === undefined) {
        throw at === 0
          ? damaged('is neither a tar archive nor a directory with an image')
          : damaged('is damaged: something else stands where a file should begin')
      }
      at += BLOCK
      const { flag, stored } = header
      const isDescription = 'xXgLK'.includes(flag)
      if (isDescription && stored > MAX_DESCRIPTION) throw damaged(`is damaged: a header of ${stored} bytes`)
      if (flag === 'L') long.path = longText(read(at, stored))
      else if (flag === 'K') long.linkpath = longText(read(at, stored))
      else if (flag === 'x' || flag === 'X') {
        const records = parsePax(read(at, stored))
        if (records === undefined) throw damaged('is damaged: a pax header that cannot be read')
        long = { ...long, ...pathsOf(records) }
      }
      const size = isHeaderOnly(flag) ? 0 : isDescription ? stored : (long.size ?? stored)
      if (at + size > end) throw damaged('is damaged: it ends too early')
      if (!isDescription) {
        const entry = normal(long.path ?? header.name)
        const kind = kindOf(flag, entry)
        const target = long.linkpath ?? header.link
        if (kind === 'file') places.set(entry, { offset: at, size })
        else if (kind === 'link') places.set(entry, { offset: at, size: 0, link: normal(target) })
        else if (kind === 'symlink') {
          places.set(entry, { offset: at, size: 0, link: normal(posix.join(posix.dirname(entry), target)) })
        }
        long = {}
      }
      at += Math.ceil(size / BLOCK) * BLOCK
    }
  } finally {
    closeSync(file)
  }
  return places
}

function pathsOf(records: ReadonlyMap<string, string>): { path?: string; linkpath?: string; size?: number } {
  const [path, linkpath, size] = [records.get('path'), records.get('linkpath'), paxNumber(records, 'size')]
  return {
    ...(path === undefined ? {} : { path }),
    ...(linkpath === undefined ? {} : { linkpath }),
    ...(size !== undefined && size >= 0 ? { size } : {}),
  }
}

/** Names are looked up, and never used as paths: `../` leads nowhere. */
function normal(path: string): string {
  return posix.normalize(`/${path}`).slice(1)
}

/** A whole file, kept in memory. @throws UpstreamError `not-found`, or `invalid` for more than `limit` bytes */
export async function readSmall(folder: Folder, path: string, limit: number): Promise<Uint8Array> {
  const size = folder.size(path)
  if (size !== undefined && size > limit) {
    throw new UpstreamError('invalid', `${path} of ${folder.name} has ${size} bytes, and may have ${limit}`)
  }
  return new Uint8Array(Buffer.concat(await Array.fromAsync(folder.open(path))))
}

/** @throws UpstreamError `invalid` */
export async function readJson(folder: Folder, path: string, limit: number): Promise<unknown> {
  const bytes = await readSmall(folder, path, limit)
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch (error) {
    throw new UpstreamError('invalid', `${path} of ${folder.name} is no JSON`, { cause: error })
  }
}
