import { createHash } from 'node:crypto'
import type { Account, Budget } from '../archive/budget.ts'
import { expand } from '../archive/expand.ts'
import { readTar, type TarEntry } from '../archive/tar.ts'
import type { FileKind } from '../archive/tar-header.ts'
import { baseOf, join, parentOf, safeName } from './name.ts'

/** A layer of an image, which can be read any number of times. */
export interface LayerSource {
  digest: string
  mediaType: string
  /** Of an artifact's layer that is a file, and no archive of files (OCI Image Specification 1.1, "Guidelines for Artifact Usage"). */
  file?: { name: string; size: number }
  /** Its bytes as they are kept, compressed or not. */
  open(): Promise<AsyncIterable<Uint8Array>>
}

/** `whiteout`: what is there below is gone; `opaque`: so is all that this directory had. */
export type EntryKind = FileKind | 'whiteout' | 'opaque'

/** What a layer says of one name. */
export interface LayerEntry extends Omit<TarEntry, 'name' | 'kind'> {
  /** Below the root; of a whiteout what it takes away, of `opaque` the directory. */
  path: string
  kind: EntryKind
  /** Of a symbolic link as it stands; of a hard link a path below the root. */
  link: string
  /** The how manieth of its layer it is. */
  at: number
  /** SHA-256 of its bytes, where that was asked for. */
  hash?: string
}

export interface LayerFile {
  entry: LayerEntry
  content: AsyncIterable<Uint8Array>
}

/** Names of a layer that lead out of the image, or mean nothing: how many, and the first. */
export interface Oddities {
  count: number
  first: string | undefined
}

export const noOddities = (): Oddities => ({ count: 0, first: undefined })

/**
 * Reads a layer as a stream. A name that leads out of the image is taken as Linux takes it at the root, where `..` leads
 * nowhere; `odd` is told of it. @throws ArchiveError, and whatever `open` throws
 */
export async function* readLayer(
  source: LayerSource,
  budget: Budget,
  odd: Oddities = noOddities(),
): AsyncGenerator<LayerFile, undefined> {
  const account: Account = budget.archive(`layer ${source.digest} (${source.mediaType})`)
  if (source.file !== undefined) {
    const { name, size } = source.file
    const { path, leaves } = safeName(name)
    if (leaves) tell(odd, name)
    yield { entry: fileEntry(path || source.digest, size), content: opened(source) }
    return
  }
  const { bytes, compression } = await expand(await source.open(), account)
  let at = 0
  // A stream of zstd that was cut off is no error to its decoder.
  for await (const { entry, content } of readTar(bytes, account, { needsEnd: compression === 'zstd' })) {
    const found = entryOf(entry, at++)
    if (found === 'odd' || safeName(entry.name).leaves) tell(odd, entry.name)
    if (found !== 'odd' && found !== 'passed by') yield { entry: found, content }
  }
}

function tell(odd: Oddities, name: string): void {
  odd.count++
  odd.first ??= name
}

/** Nobody says of it what an archive says of its files. */
function fileEntry(path: string, size: number): LayerEntry {
  return {
    ...{ path, size, kind: 'file', link: '', at: 0 },
    ...{ mode: 0o644, uid: 0, gid: 0, modified: Number.NaN },
    ...{ attributes: '', isSparse: false },
  }
}

/** A list of files needs no bytes. */
async function* opened(source: LayerSource): AsyncGenerator<Uint8Array> {
  yield* await source.open()
}

const WHITEOUT = '.wh.'
const OPAQUE = '.wh..wh..opq'
/** What AUFS kept beside the files of an image (OCI Image Specification 1.1, "Whiteouts"). */
const AUFS = '.wh..wh.'

/** `odd`: it means nothing; `passed by`: it is no file of the image. */
function entryOf({ name, link, ...rest }: TarEntry, at: number): LayerEntry | 'odd' | 'passed by' {
  const { path } = safeName(name)
  const target = rest.kind === 'link' ? safeName(link).path : link
  const entry: LayerEntry = { ...rest, path, link: target, at }
  const base = baseOf(path)
  if (base === OPAQUE) return { ...entry, kind: 'opaque', path: parentOf(path) }
  if (path.split('/').some((part) => part.startsWith(AUFS))) return 'passed by'
  if (base.startsWith(WHITEOUT)) {
    const gone = base.slice(WHITEOUT.length)
    return gone === '' || gone === '.' || gone === '..'
      ? 'odd'
      : { ...entry, kind: 'whiteout', path: join(parentOf(path), gone) }
  }
  // The root is a directory, whatever an archive says of it.
  return path === '' && rest.kind !== 'directory' ? 'odd' : entry
}

/** The name that stands in the layer for what an entry means. */
export function rawName({ kind, path }: LayerEntry): string {
  if (kind === 'opaque') return join(path, OPAQUE)
  if (kind === 'whiteout') return join(parentOf(path), WHITEOUT + baseOf(path))
  return path
}

/** All that a layer says, without the bytes of its files. `hash`: with their hashes. @throws ArchiveError */
export async function indexLayer(
  source: LayerSource,
  budget: Budget,
  { hash = false, odd = noOddities() }: { hash?: boolean; odd?: Oddities } = {},
): Promise<LayerEntry[]> {
  const entries: LayerEntry[] = []
  for await (const { entry, content } of readLayer(source, budget, odd)) {
    entries.push(hash && entry.kind === 'file' ? { ...entry, hash: await hashOf(content) } : entry)
  }
  return entries
}

async function hashOf(content: AsyncIterable<Uint8Array>): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of content) hash.update(chunk)
  return hash.digest('hex')
}
