import type { Affected, DamageReason, Metadata, StoredBlob } from '../metadata/metadata.ts'
import { algorithmOf, type Digest } from '../oci/digest.ts'
import { type Examined, type Hashed, type OnBytes, type Storage, StorageError } from '../storage/storage.ts'
import type { Blobs } from './blobs.ts'
import { AFFECTED, type Finding, pushAgain } from './finding.ts'

/** Whether each blob has its bytes, and what becomes of one that has not. */
export interface BlobChecks {
  /** Looks at a page of rows; with `onBytes` all bytes are hashed, and it hears of them. */
  check(
    rows: readonly StoredBlob[],
    options: { repair: boolean; onBytes?: OnBytes | undefined; onBlob?: (row: StoredBlob) => void },
  ): AsyncIterable<Finding>
  /** Bytes of a digest whose row is lost: it gets a row again, if they are whole. `forbidden`: its folder cannot be read. */
  recover(digest: Digest): Promise<boolean | 'forbidden'>
  affected(digest: Digest): Promise<Affected[]>
}

/** `forbidden` and `symlink` leave the bytes alone. */
type Damage =
  | { reason: DamageReason; detail: string }
  | { reason: 'forbidden'; detail: string }
  | { reason: 'symlink'; detail: string }

const NOTHING: OnBytes = async () => {}

/**
 * What looks wrong is looked at again where no push and no collector can come between (`Blobs.collecting`): the row once more, then the
 * bytes. Damaged bytes go in two steps, a row that says so, then the move; a crash between them is gone on from.
 */
export function createBlobChecks(deps: {
  metadata: Metadata
  storage: Storage
  blobs: Pick<Blobs, 'collecting'>
  now: () => number
}): BlobChecks {
  const { metadata, storage, blobs, now } = deps
  const { verification } = metadata

  async function damageOf(row: StoredBlob, isDeep: boolean): Promise<Damage | undefined> {
    const [seen] = await storage.examine([row.key])
    const obvious = obviousDamage(row, seen)
    if (obvious !== undefined && obvious.reason !== 'symlink') return obvious
    if (!isDeep) return obvious
    return hashDamage(row, await storage.hash(row.key, algorithmOf(row.digest), NOTHING)) ?? obvious
  }

  const isWhole = async (hashing: Promise<Hashed | undefined>, digest: Digest): Promise<number | undefined> => {
    const hashed = await hashing
    return hashed?.kind === 'hashed' && hashed.digest === digest ? hashed.size : undefined
  }

  /** Other bytes of the digest, which lie around for any reason and are whole. */
  async function revive(digest: Digest, ours: string | undefined): Promise<boolean> {
    for (const { key } of await storage.objectsOf(digest)) {
      const size = key === ours ? undefined : await isWhole(storage.hash(key, algorithmOf(digest), NOTHING), digest)
      if (size !== undefined && (await verification.revive({ digest, key, size, now: now() }))) return true
    }
    return false
  }

  async function quarantine(digest: Digest, key: string): Promise<string> {
    const name = await storage.quarantine.put(key, digest, stampOf(now()))
    return name === undefined ? '' : `its bytes are kept as ${storage.quarantine.place(name)}; `
  }

  async function repair(row: StoredBlob, reason: DamageReason): Promise<Pick<Finding, 'outcome' | 'done'>> {
    const { digest, key } = row
    if (!(await verification.damage({ digest, key, reason, now: now() }))) {
      return { outcome: 'mended', done: 'it was replaced meanwhile' }
    }
    if (reason === 'size') {
      // The bytes may be right, and the row wrong.
      const size = await isWhole(storage.hash(key, algorithmOf(digest), NOTHING), digest)
      if (size !== undefined && (await verification.revive({ digest, key, size, now: now() }))) {
        return { outcome: 'mended', done: `its bytes are whole: the row says ${size} bytes now` }
      }
    }
    const kept = await quarantine(digest, key)
    if (await revive(digest, undefined))
      return { outcome: 'mended', done: `${kept}another copy that is whole took its place` }
    return { outcome: 'healing', done: `${kept}clients are told that it is not here, and the next push brings it back` }
  }

  async function confirm(row: StoredBlob, isDeep: boolean, repairs: boolean): Promise<Finding | undefined> {
    return await blobs.collecting(row.digest, async () => {
      const current = await metadata.blobs.locate(row.digest)
      // Whoever changed it since has just looked at it, or is deleting it.
      if (current?.state !== 'live' || current.key !== row.key) return undefined
      const damage = await damageOf(current, isDeep)
      if (damage === undefined) return undefined
      const affected = await verification.affected(row.digest, AFFECTED)
      const finding = { what: `blob ${row.digest}`, detail: damage.detail, affected }
      if (damage.reason === 'symlink') {
        const advice = `put the file itself in its place: cp --remove-destination "$(readlink -f ${row.key})" ${row.key}`
        return { ...finding, kind: 'blob-symlink', severity: 'note', outcome: 'found', done: undefined, advice }
      }
      if (damage.reason === 'forbidden') {
        const advice = `give it back to the user that berth runs as, with mode 0644: ${row.key}`
        return { ...finding, kind: 'blob-forbidden', severity: 'fault', outcome: 'found', done: undefined, advice }
      }
      const kind = `blob-${damage.reason}` as const
      if (!repairs) {
        const advice = `berth verify --deep --repair${affected.length === 0 ? '' : `; then ${pushAgain(affected)}`}`
        return { ...finding, kind, severity: 'fault', outcome: 'found', done: undefined, advice }
      }
      const { outcome, done } = await repair(current, damage.reason)
      const advice = outcome === 'mended' ? undefined : pushAgain(affected)
      return { ...finding, kind, severity: 'fault', outcome, done, advice }
    })
  }

  /** One that is known to be damaged: its bytes may be back, and a crash may have left a step to do. */
  async function lookAgain(row: StoredBlob, repairs: boolean): Promise<Finding | undefined> {
    const { digest, key } = row
    return await blobs.collecting(digest, async () => {
      const current = await metadata.blobs.locate(digest)
      if (current?.state !== 'damaged' || current.key !== key) return undefined
      const affected = await verification.affected(digest, AFFECTED)
      const [known] = await verification.damaged({ last: before(digest), limit: 1 })
      const since =
        known?.digest === digest
          ? ` since ${new Date(known.foundAt).toISOString().replace(/\.\d+Z$/, 'Z')} (${known.reason})`
          : ''
      const finding = {
        ...({ kind: 'blob-damaged', severity: 'fault', what: `blob ${digest}`, affected } as const),
        detail: `is known to be damaged${since}`,
      }
      const advice = pushAgain(affected, '; or put a good copy into the quarantine folder and repair again')
      if (!repairs) return { ...finding, outcome: 'healing', done: undefined, advice }
      if ((await storage.examine([key]))[0]?.isReadable === false) {
        return { ...finding, outcome: 'healing', done: 'the system does not let berth read what is there now', advice }
      }
      if (await revive(digest, undefined))
        return { ...finding, outcome: 'mended', done: 'its bytes are back', advice: undefined }
      if ((await storage.examine([key]))[0] !== undefined) await quarantine(digest, key)
      for await (const kept of storage.quarantine.list()) {
        if (kept.digest !== digest) continue
        const size = await isWhole(storage.quarantine.hash(kept.name, algorithmOf(digest), NOTHING), digest)
        if (size === undefined || !(await storage.quarantine.restore(kept.name, key))) continue
        if (!(await verification.revive({ digest, key, size, now: now() }))) continue
        return { ...finding, outcome: 'mended', done: `${kept.name} is whole, and was put back`, advice: undefined }
      }
      return { ...finding, outcome: 'healing', done: undefined, advice }
    })
  }

  return {
    async *check(rows, { repair: repairs, onBytes, onBlob }) {
      const live = rows.filter(({ state }) => state === 'live')
      const seen = await storage.examine(live.map(({ key }) => key))
      const suspects = new Set(live.filter((row, index) => obviousDamage(row, seen[index]) !== undefined))
      for (const row of rows) {
        const isLive = row.state === 'live'
        const isDeep = onBytes !== undefined
        if (row.state === 'damaged') {
          const finding = await lookAgain(row, repairs)
          if (finding !== undefined) yield finding
        } else if (isLive && (suspects.has(row) || (isDeep && (await isSuspect(row, onBytes))))) {
          const finding = await confirm(row, isDeep, repairs)
          if (finding !== undefined) yield finding
        }
        onBlob?.(row)
      }
    },

    recover: (digest) =>
      blobs.collecting(digest, () =>
        revive(digest, undefined).catch((error: unknown) => {
          if (error instanceof StorageError && error.fault === 'forbidden') return 'forbidden' as const
          throw error
        }),
      ),
    affected: (digest) => verification.affected(digest, AFFECTED),
  }

  async function isSuspect(row: StoredBlob, onBytes: OnBytes): Promise<boolean> {
    const hashed = await storage.hash(row.key, algorithmOf(row.digest), onBytes)
    return hashDamage(row, hashed) !== undefined
  }
}

function obviousDamage({ size }: StoredBlob, seen: Examined | undefined): Damage | undefined {
  if (seen === undefined) return { reason: 'missing', detail: 'its bytes are not in the storage' }
  if (!seen.isReadable) return { reason: 'forbidden', detail: 'the system does not let berth read it' }
  if (seen.size !== size) return { reason: 'size', detail: `has ${seen.size} bytes, and should have ${size}` }
  return seen.isLink ? { reason: 'symlink', detail: 'a symbolic link lies in its place' } : undefined
}

function hashDamage({ digest }: StoredBlob, hashed: Hashed | undefined): Damage | undefined {
  if (hashed === undefined) return { reason: 'missing', detail: 'its bytes are not in the storage' }
  if (hashed.kind === 'hashed') {
    return hashed.digest === digest
      ? undefined
      : { reason: 'digest', detail: `its bytes are those of ${hashed.digest}` }
  }
  const { code, message } = hashed
  if (code === 'EACCES' || code === 'EPERM') return { reason: 'forbidden', detail: `cannot be read: ${message}` }
  if (code === 'EIO' || code === 'EUCLEAN' || code === 'EILSEQ')
    return { reason: 'unreadable', detail: `the disk does not give it: ${message}` }
  // Too many open files, no memory: nothing that is wrong with the blob.
  throw new StorageError('failed', `cannot read ${digest}: ${message}`)
}

/** `20260102T030405Z` */
export function stampOf(at: number): string {
  return new Date(at).toISOString().replace(/[-:]|\.\d+/g, '')
}

/** When it was made; undefined for what is no stamp. */
export function timeOfStamp(stamp: string | undefined): number | undefined {
  const [, date, clock] = /^(\d{8})T(\d{6})Z$/.exec(stamp ?? '') ?? []
  if (date === undefined || clock === undefined) return undefined
  const [year, month, day] = [date.slice(0, 4), date.slice(4, 6), date.slice(6)]
  return Date.parse(`${year}-${month}-${day}T${clock.replace(/(\d\d)(?=\d)/g, '$1:')}Z`)
}

/** The greatest text below a digest that is none itself: a page after it begins with the digest. */
function before(digest: Digest): Digest {
  return digest.slice(0, -1) as Digest
}
