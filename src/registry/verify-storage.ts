import type { Metadata, UploadRow } from '../metadata/metadata.ts'
import type { Digest } from '../oci/digest.ts'
import { RegistryError } from '../oci/error.ts'
import type { Storage, Stranger, UnreadableFolder } from '../storage/storage.ts'
import type { Blobs } from './blobs.ts'
import type { Finding } from './finding.ts'
import type { Uploads } from './uploads.ts'
import { stampOf } from './verify-blobs.ts'

/** Objects that are looked up together. */
const PORTION = 500

interface Deps {
  metadata: Metadata
  storage: Storage
  blobs: Pick<Blobs, 'collecting'>
  uploads: Pick<Uploads, 'cancel' | 'forgetStray' | 'isBusy'>
  now: () => number
}

interface Options {
  repair: boolean
  /** What is younger may belong to a push that is under way. Milliseconds since the epoch. */
  before: number
  onFiles: (count: number) => void
}

/**
 * What lies in storage and no row knows. A push puts bytes first and their row second: files count only when they are older than any
 * upload can be, and are taken only where no push can come between, as the daily sweep does it.
 */
export async function* checkStorage(deps: Deps, options: Options): AsyncIterable<Finding> {
  const { storage } = deps
  const { before, onFiles } = options
  let found: { key: string; digest: Digest; size: number }[] = []
  for await (const each of storage.survey()) {
    if (each.kind === 'unreadable') {
      yield unreadableFinding(each)
      continue
    }
    if (each.kind === 'stranger') {
      const finding = await strangerFinding(deps, each, options)
      if (finding !== undefined) yield finding
      continue
    }
    onFiles(1)
    const { key, digest, size, modified } = each
    if (digest === undefined || modified.getTime() > before) continue
    found.push({ key, digest, size })
    if (found.length < PORTION) continue
    yield* orphans(deps, found, options)
    found = []
  }
  yield* orphans(deps, found, options)
  yield* orphanUploads(deps, options)
}

async function* orphans(
  { metadata, blobs, now }: Deps,
  found: readonly { key: string; digest: Digest; size: number }[],
  { repair }: Options,
): AsyncIterable<Finding> {
  const strays = new Set(await metadata.collection.strays(found))
  for (const object of found) {
    if (!strays.has(object.key)) continue
    const finding = {
      ...({ kind: 'orphan-blob', severity: 'note', what: `file ${object.key}`, affected: [] } as const),
      detail: `no row knows it (${object.size} bytes)`,
    }
    if (!repair) {
      yield {
        ...finding,
        outcome: 'found',
        done: undefined,
        advice: 'it is removed by itself within a day, or by berth verify --repair',
      }
    } else if (await blobs.collecting(object.digest, () => metadata.collection.claim(object, now()))) {
      yield { ...finding, outcome: 'mended', done: 'the collector removes it in its next cycle', advice: undefined }
    }
  }
}

async function* orphanUploads(
  { metadata, storage, uploads }: Deps,
  { repair, before }: Options,
): AsyncIterable<Finding> {
  for await (const { id, size, modified } of storage.uploads()) {
    if (modified.getTime() > before || (await metadata.uploads.exists(id))) continue
    const finding = {
      ...({ kind: 'orphan-upload', severity: 'note', what: `upload ${id}`, affected: [] } as const),
      detail: `its ${size} bytes belong to no session`,
    }
    if (!repair) {
      yield {
        ...finding,
        outcome: 'found',
        done: undefined,
        advice: 'they are removed by themselves within a day, or by berth verify --repair',
      }
    } else if (await uploads.forgetStray(id))
      yield { ...finding, outcome: 'mended', done: 'removed', advice: undefined }
  }
}

async function strangerFinding(
  { storage, now }: Deps,
  stranger: Stranger,
  { repair, before }: Options,
): Promise<Finding | undefined> {
  const { path, what, modified } = stranger
  const finding = {
    ...({ kind: 'stranger', severity: 'note', what: `${what} ${path}`, affected: [] } as const),
    detail: 'Berth did not put it there',
  }
  if (modified === undefined) {
    const advice = 'remove it, or give it a name that is UTF-8: ls -b shows it'
    const detail = 'its name is no UTF-8: Berth did not put it there, and cannot look at it'
    return { ...finding, what: path, detail, outcome: 'found', done: undefined, advice }
  }
  // A link in the place of a blob is looked at with the blob, and works.
  if (what === 'symbolic link' && (await isServed(storage, path))) return undefined
  if (!repair || modified.getTime() > before) {
    const advice =
      'remove it if nothing else needs it; berth verify --repair moves it aside when it is older than any upload'
    return { ...finding, outcome: 'found', done: undefined, advice }
  }
  const name = await storage.quarantine.put(path, undefined, stampOf(now()))
  if (name === undefined) return undefined
  return { ...finding, outcome: 'mended', done: `moved to ${storage.quarantine.place(name)}`, advice: undefined }
}

/** What is in it is no orphan, and none of its blobs is missing, as far as anybody knows. */
function unreadableFinding({ path, fault, message }: UnreadableFolder): Finding {
  const isOurs = fault === 'forbidden'
  return {
    ...({ kind: 'folder-unreadable', severity: 'fault', what: `folder ${path}`, affected: [] } as const),
    detail: isOurs
      ? 'the system does not let berth read it; nothing in it was looked at'
      : `the disk does not give it: ${message}`,
    ...({ outcome: 'found', done: undefined } as const),
    advice: isOurs
      ? `give it back to the user that berth runs as, with mode 0755: ${path}`
      : 'look at the disk: its log, and fsck',
  }
}

async function isServed(storage: Storage, path: string): Promise<boolean> {
  try {
    return (await storage.open(path)) !== undefined
  } catch {
    return false
  }
}

/** Sessions against what storage has of them. */
export async function* checkUploads(
  { metadata, storage, uploads }: Deps,
  { repair, onRows }: { repair: boolean; onRows: (count: number) => void },
): AsyncIterable<Finding> {
  for (let last: string | undefined; ; ) {
    const page = await metadata.verification.uploads({ last, limit: PORTION })
    const end = page.at(-1)
    if (end === undefined) return
    for (const row of page) {
      const kept = await keptOf({ metadata, storage, uploads }, row)
      if (kept === undefined) continue
      const finding = { severity: 'note', what: `upload ${row.id} in ${row.repository}`, affected: [] } as const
      if (kept > 0) {
        const detail = `has ${kept} of ${row.size} bytes`
        const advice = `its client goes on at byte ${kept}, or the session expires`
        yield { ...finding, kind: 'upload-short', detail, outcome: 'found', done: undefined, advice }
        continue
      }
      const detail = `its ${row.size} bytes are gone`
      if (repair) await ended(uploads.cancel(row.repository, row.id))
      yield {
        ...{ ...finding, kind: 'upload-missing', detail, outcome: repair ? 'mended' : 'found' },
        done: repair ? 'the session was ended: its client begins again' : undefined,
        advice: repair ? undefined : 'its client begins again, or the session expires',
      }
    }
    onRows(page.length)
    last = end.id
  }
}

/** Bytes that are left where some are missing, 0 where nothing is left; undefined where all is well, or a request is at work. */
async function keptOf(
  { metadata, storage, uploads }: Pick<Deps, 'metadata' | 'storage' | 'uploads'>,
  row: UploadRow,
): Promise<number | undefined> {
  const size = await storage.sizeOf(row)
  if (size !== undefined && size >= row.size) return undefined
  // In this order: whoever took the bytes away has ended, and with it the row, or is busy still.
  if (uploads.isBusy(row.id)) return undefined
  const current = await metadata.uploads.find(row.repository, row.id)
  if (current === undefined || current.size !== row.size) return undefined
  return size ?? 0
}

/** Of an upload that may have come to its end by itself. */
async function ended(cancelling: Promise<void>): Promise<void> {
  try {
    await cancelling
  } catch (error) {
    if (!(error instanceof RegistryError) || error.code !== 'BLOB_UPLOAD_UNKNOWN') throw error
  }
}
