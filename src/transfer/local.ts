import { closeSync, createWriteStream, openSync, readSync, type Stats, statSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createBudget } from '../archive/budget.ts'
import { expand } from '../archive/expand.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { isIndexMediaType } from '../oci/media-type.ts'
import { UpstreamError } from '../upstream/error.ts'
import type { FetchedManifest } from '../upstream/registry.ts'
import { archiveSource, MANIFEST_FILE, NO_LIMITS, readArchive, unpacking } from './docker-archive.ts'
import { orSay } from './draft-file.ts'
import { directoryFolder, type Folder, tarFolder } from './folder.ts'
import { isLayout, type Layout, openLayout } from './layout.ts'
import type { ImageSource } from './transfer.ts'
import { readManifest } from './tree.ts'
import { untilAborted } from './until-aborted.ts'

export type LocalFormat = 'auto' | 'tarball' | 'oci'

export interface LocalOptions {
  /** A directory or a file; with `input` a name for errors. */
  path: string
  /** Bytes of an archive, in place of a file. */
  input?: AsyncIterable<Uint8Array>
  format: LocalFormat
  /** An empty folder for what cannot be read where it lies. */
  temporary: string
  /** Ends the reading. */
  signal?: AbortSignal | undefined
}

/** Images of a layout, or of what `docker save` wrote. */
export interface LocalImages {
  /**
   * One of them: by its name or digest, or the only one, or the one that is called `preferred`.
   * `otherwise`: what else may be said where it is not clear which.
   * @throws UpstreamError `usage` where it is not clear which
   */
  choose(name: string | undefined, preferred: string | undefined, otherwise?: string): Promise<LocalImage>
  /** Each once, in their order. @throws UpstreamError `not-found` where there is none */
  all(): Promise<LocalImage[]>
}

export interface LocalImage {
  source: ImageSource
  root: FetchedManifest
  /** What the layout says of it. */
  named?: Descriptor
}

interface Candidate {
  names: readonly string[]
  /** What makes two of them the same. */
  id: string
  open(): Promise<LocalImage>
}

/** @throws UpstreamError */
export async function openLocal(options: LocalOptions): Promise<LocalImages> {
  const { format, temporary, signal } = options
  const folder = await folderOf(options)
  const hasLayout = isLayout(folder)
  const hasArchive = folder.size(MANIFEST_FILE) !== undefined
  if (format === 'oci' ? !hasLayout : format === 'tarball' ? !hasArchive : !hasLayout && !hasArchive) {
    const lacks = { oci: 'no index.json', tarball: 'no manifest.json', auto: 'neither index.json nor manifest.json' }
    throw new UpstreamError('invalid', `${folder.name} has no image: ${lacks[format]}`, {
      hint: 'it must be an OCI layout, or what docker save writes',
    })
  }
  const layout = hasLayout && format !== 'tarball' ? await openLayout(folder) : undefined
  // What docker keeps unpacked it saves unpacked; it would be pushed compressed.
  const isSaved = hasArchive && (layout === undefined || (format === 'auto' && (await isPlain(layout))))
  const candidates = layout === undefined || isSaved ? await archived(folder, temporary, signal) : laidOut(layout)
  return {
    async choose(name, preferred, otherwise = '') {
      return await chosen(folder.name, candidates, name, preferred, otherwise).open()
    },
    async all() {
      const found = new Map<string, Candidate>()
      for (const one of candidates) if (!found.has(one.id)) found.set(one.id, one)
      if (found.size === 0) throw none(folder.name)
      const images: LocalImage[] = []
      for (const one of found.values()) images.push(await one.open())
      return images
    },
  }
}

async function folderOf({ path, input, temporary, signal }: LocalOptions): Promise<Folder> {
  if (input === undefined) {
    const stat = statOf(path)
    if (stat.isDirectory()) return directoryFolder(path, signal)
    if (!stat.isFile()) {
      throw new UpstreamError('usage', `${path} is neither a file nor a directory`, {
        hint: 'what comes from a pipe: berth push - IMAGE',
      })
    }
    if (!orSay(path, () => isCompressed(path), 'read')) return tarFolder(path, path, signal)
  }
  const file = join(temporary, 'archive.tar')
  const source = untilAborted(input ?? Bun.file(path).stream(), signal)
  try {
    const { bytes } = await expand(source, createBudget(NO_LIMITS).archive(path))
    await pipeline(Readable.from(bytes), createWriteStream(file))
  } catch (error) {
    throw unpacking(temporary, error)
  }
  return tarFolder(file, path, signal)
}

/** @throws UpstreamError for a path that leads nowhere */
function statOf(path: string): Stats {
  try {
    const stat = statSync(path, { throwIfNoEntry: false })
    if (stat !== undefined) return stat
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code !== 'ENOTDIR') return orSay(path, () => statSync(path), 'read')
  }
  throw new UpstreamError('not-found', `there is no ${path}`)
}

/** gzip or zstd; what is neither is a tar archive, or nothing at all. */
function isCompressed(path: string): boolean {
  const file = openSync(path, 'r')
  try {
    const start = Buffer.alloc(4)
    readSync(file, start, 0, 4, 0)
    return start.readUInt16BE(0) === 0x1f8b || start.readUInt32BE(0) === 0x28b52ffd
  } finally {
    closeSync(file)
  }
}

async function isPlain({ source, entries }: Layout): Promise<boolean> {
  for (const { descriptor } of entries) {
    if (isIndexMediaType(descriptor.mediaType)) continue
    const { layers } = readManifest(source.name, await source.manifest(descriptor.digest))
    if (layers.some(({ mediaType }) => mediaType.endsWith('.tar'))) return true
  }
  return false
}

function laidOut({ source, entries }: Layout): Candidate[] {
  return entries.map(({ descriptor, names }) => ({
    names,
    id: descriptor.digest,
    open: async () => ({ source, root: await source.manifest(descriptor.digest), named: descriptor }),
  }))
}

async function archived(folder: Folder, temporary: string, signal: AbortSignal | undefined): Promise<Candidate[]> {
  return (await readArchive(folder)).map((image, number) => ({
    names: image.names,
    id: image.config,
    open: () => archiveSource(folder, image, { temporary, prefix: `${number}-` }, signal),
  }))
}

function chosen(
  where: string,
  candidates: readonly Candidate[],
  name: string | undefined,
  preferred: string | undefined,
  otherwise: string,
): Candidate {
  const called = (wanted: string) =>
    candidates.find(({ names, id }) => id === wanted || names.some((one) => isCalled(one, wanted)))
  const names = candidates.map((one) => one.names[0] ?? one.id).join(', ')
  if (name !== undefined) {
    const found = called(name)
    if (found !== undefined) return found
    throw new UpstreamError('not-found', `${where} has no image ${JSON.stringify(name)}`, {
      hint: names === '' ? undefined : `it has ${names}`,
    })
  }
  const [first] = candidates
  if (first === undefined) throw none(where)
  const isOne = candidates.every(({ id }) => id === first.id)
  const found = isOne ? first : preferred === undefined ? undefined : called(preferred)
  if (found !== undefined) return found
  throw new UpstreamError('usage', `${where} has several images`, {
    hint: `say which one: --image ${names}${otherwise}`,
  })
}

function none(where: string): UpstreamError {
  return new UpstreamError('not-found', `${where} has no image`)
}

/** `v1` is also what `host/app:v1` is called, where nothing else is. */
function isCalled(name: string, wanted: string): boolean {
  return name === wanted || name.endsWith(`/${wanted}`) || name.endsWith(`:${wanted}`)
}
