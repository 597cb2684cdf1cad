import type { Amounts, Metadata, QuotaDenial, QuotaLimits, QuotaRow, RepositoryContents } from '../metadata/metadata.ts'
import type { Digest } from '../oci/digest.ts'
import { RegistryError } from '../oci/error.ts'
import { denied } from './denial.ts'
import { createOpenUploads, isBelow } from './open-uploads.ts'
import { FIRST_PORTION, nextPortion } from './portions.ts'

export type { Amounts, QuotaLimits, QuotaRow }

/** Asked before bytes are taken; what is put in the end is decided in the transactions of blobs and manifests. */
export interface QuotaAdmission {
  /**
   * Answers at once, without a promise, where no quota is over the repository. Else, if nothing refuses it, what a blob may have
   * there (undefined: any number of bytes). For as many as are known, room among the uploads under way is set aside.
   * @param size bytes of the blob as far as they are known, all of them where `digest` is told
   * @throws RegistryError DENIED; NoRoomForUploads
   */
  admit(repository: string, upload: string, size: number, digest?: Digest): Promise<UploadRoom | undefined> | undefined
  /** So many bytes of an upload are there, and none of its requests is under way; 0: it has ended. */
  uploaded(repository: string, upload: string, size: number): void
  /** Uploads below a prefix that have bytes, and that nobody has gone on with since `before`. */
  idle(prefix: string, before: number): { id: string; repository: string }[]
}

/** What an upload may have. */
export interface UploadRoom {
  /** It has so many bytes by now. Answers with the refusal where there is no place for them. */
  grown(size: number): RegistryError | undefined
}

/** Uploads under way below the prefix leave no room; it comes back as they end. */
export class NoRoomForUploads extends RegistryError {
  readonly prefix: string

  constructor(refusal: RegistryError, prefix: string) {
    super(refusal.code, { message: refusal.message, detail: refusal.detail })
    this.prefix = prefix
  }
}

/** Takes everything. */
export const NO_QUOTAS: QuotaAdmission = { admit: () => undefined, uploaded() {}, idle: () => [] }

/** What parts of the registry may hold: by the configuration, and by administrators. */
export interface QuotaBook extends QuotaAdmission {
  list(): Promise<QuotaRow[]>
  /** Those of a prefix, and the repositories below it that hold most; undefined when it has no quota. */
  show(prefix: string, largest: number): Promise<{ quotas: QuotaRow[]; largest: RepositoryContents[] } | undefined>
  /** `configured`: the configuration has one of that prefix, where it is changed. */
  set(prefix: string, limits: QuotaLimits): Promise<QuotaRow | 'configured'>
  remove(prefix: string): Promise<'removed' | 'unknown' | 'configured'>
  /** Compares what was counted with what there is; `repair`: counts anew where they differ. */
  check(repair: boolean): Promise<CheckedQuota[]>
  /** Those of the configuration are these from now on. */
  configure(quotas: readonly { prefix: string; limits: QuotaLimits }[]): Promise<void>
  /** Counts what was there before the quotas, until all is counted, or it is stopped. */
  tend(): Promise<void>
  stop(): Promise<void>
}

export interface CheckedQuota {
  quota: QuotaRow
  counted: Amounts
  /** Whether that is what was counted; a quota that still counts is not looked at. */
  isRight: boolean
}

/**
 * Bytes of uploads under way, and of blobs that wait for their manifests, beside as many as a quota has: as many as these blobs may have
 * by themselves (`WAITING_ALLOWANCE` of the rows), which each upload becomes one of.
 */
const UPLOADS_ALLOWANCE = 1024 ** 3

/** A quota of bytes that is over an upload, as it was when that was admitted. */
interface Bound {
  quota: QuotaRow
  allowed: number
}

/** Portions that whoever sets a quota waits for: most registries are counted by then. */
const AT_ONCE = 20
/** Repositories of one look for the largest. */
const PAGE = 500

export function createQuotas(deps: {
  metadata: Pick<Metadata, 'quotas' | 'contents' | 'uploads'>
  now: () => number
  onFailure: (error: unknown) => void
  /** Milliseconds of a clock that is never set back. */
  clock?: () => number
}): QuotaBook {
  const { metadata, now, onFailure, clock = () => performance.now() } = deps
  const { quotas } = metadata
  const open = createOpenUploads(metadata.uploads, now)
  let prefixes: Promise<ReadonlySet<string>> | undefined
  let known: ReadonlySet<string> | undefined
  let stopping = false
  let tending: Promise<void> | undefined
  let isAsked = false
  let hasBegun = false
  let portion = FIRST_PORTION

  /** One process owns the database: what was read once is so until it is changed here. */
  function load(): Promise<ReadonlySet<string>> {
    if (prefixes !== undefined) return prefixes
    const reading = quotas.list().then(async (rows) => {
      const set = new Set(rows.map(({ prefix }) => prefix))
      await open.watch(set)
      return set
    })
    prefixes = reading
    reading.then(
      (set) => {
        if (prefixes === reading) known = set
      },
      () => {
        if (prefixes === reading) prefixes = undefined
      },
    )
    return reading
  }

  async function changing<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } finally {
      prefixes = undefined
      known = undefined
    }
  }

  async function portions(most: number): Promise<boolean> {
    for (let done = 0; done < most && !stopping; done++) {
      const began = clock()
      if (!(await quotas.count(portion))) return true
      portion = nextPortion(portion, clock() - began)
    }
    return false
  }

  /** One at a time; what is asked for meanwhile is done after it. */
  function tend(): Promise<void> {
    isAsked = true
    tending ??= (async () => {
      try {
        while (isAsked && !stopping) {
          isAsked = false
          if (!hasBegun && (await load()).size > 0) await quotas.giveUpRenames()
          hasBegun = true
          if (await quotas.isBehind()) await portions(Number.POSITIVE_INFINITY)
        }
      } catch (error) {
        onFailure(error)
      } finally {
        tending = undefined
      }
    })()
    return tending
  }

  async function counted(): Promise<void> {
    if (!(await portions(AT_ONCE))) void tend()
  }

  async function ask(
    repository: string,
    upload: string,
    size: number,
    digest: Digest | undefined,
  ): Promise<UploadRoom | undefined> {
    const bounds: Bound[] = []
    for (const quota of await quotas.over(repository, digest)) {
      const allowed = quota.limits.bytes
      if (allowed === undefined || quota.state !== 'exact') continue
      bounds.push({ quota, allowed })
      if (quota.hasBlob) continue
      const used = quota.used.bytes
      // Without its digest nobody knows whether it is there already; what is larger than the quota cannot be.
      if ((digest === undefined ? 0 : used) + size > allowed) throw refusal(quota, used, size)
    }
    if (bounds.length === 0) return undefined
    const lacking = roomFor(bounds, repository, upload, size)
    if (lacking !== undefined) throw lacking
    return {
      grown(bytes) {
        const least = bounds.find(({ allowed }) => bytes > allowed)
        if (least !== undefined) return refusal(least.quota, least.quota.used.bytes, bytes)
        return roomFor(bounds, repository, upload, bytes)
      },
    }
  }

  /** Sets it aside, or says why not. Nothing comes between the look and that, so that uploads side by side pass no bound together. */
  function roomFor(
    bounds: readonly Bound[],
    repository: string,
    upload: string,
    size: number,
  ): NoRoomForUploads | undefined {
    const own = open.of(upload)
    // What has its room already adds nothing.
    if (size <= own) return undefined
    for (const { quota, allowed } of bounds) {
      const most = allowed + UPLOADS_ALLOWANCE
      const others = open.below(quota.prefix) - own + quota.waiting
      if (others + size <= most) continue
      const { prefix } = quota
      const denial: QuotaDenial = {
        kind: 'quota',
        prefix,
        resource: 'uploads',
        used: quota.used.bytes,
        open: others,
        asked: size,
        allowed: most,
      }
      return new NoRoomForUploads(denied(denial), prefix)
    }
    open.set(repository, upload, size)
    return undefined
  }

  return {
    admit(repository, upload, size, digest) {
      if (known === undefined) {
        return load().then((set) => (isOver(set, repository) ? ask(repository, upload, size, digest) : undefined))
      }
      return isOver(known, repository) ? ask(repository, upload, size, digest) : undefined
    },

    uploaded: open.set,
    idle: open.idle,

    list: () => quotas.list(),

    async show(prefix, largest) {
      const found = (await quotas.list()).filter((quota) => quota.prefix === prefix)
      if (found.length === 0) return undefined
      return { quotas: found, largest: await largestBelow(metadata.contents, prefix, largest) }
    },

    async set(prefix, limits) {
      const own = (await quotas.list()).filter((quota) => quota.prefix === prefix)
      if (own.some(({ source }) => source === 'config')) return 'configured'
      await changing(() => quotas.set({ prefix, source: 'api', limits, now: now() }))
      await counted()
      const made = (await quotas.list()).find((quota) => quota.prefix === prefix && quota.source === 'api')
      if (made === undefined) throw new Error(`the quota of ${prefix} was removed as soon as it was made`)
      return made
    },

    async remove(prefix) {
      const removed = await changing(() => quotas.remove(prefix, 'api'))
      if (removed) {
        await counted()
        return 'removed'
      }
      const isConfigured = (await quotas.list()).some((quota) => quota.prefix === prefix)
      return isConfigured ? 'configured' : 'unknown'
    },

    async check(repair) {
      const checked: CheckedQuota[] = []
      for (const quota of await quotas.list()) {
        if (quota.state === 'counting') continue
        const found = await quotas.recount(quota.id)
        if (found === undefined) continue
        const isRight = isSame(found.stored, found.counted)
        if (!isRight && repair) await quotas.restart(quota.id, now())
        checked.push({ quota, counted: found.counted, isRight })
      }
      await counted()
      return checked
    },

    async configure(wanted) {
      const before = (await quotas.list()).filter(({ source }) => source === 'config')
      if (wanted.length > 0 || before.length > 0) await changing(() => quotas.configure(wanted, now()))
      void tend()
    },

    tend,

    async stop() {
      stopping = true
      await tending
    },
  }
}

function isOver(prefixes: ReadonlySet<string>, repository: string): boolean {
  if (prefixes.size === 0) return false
  for (const prefix of prefixes) if (isBelow(repository, prefix)) return true
  return false
}

function refusal({ prefix, limits }: QuotaRow, used: number, asked: number): RegistryError {
  const denial: QuotaDenial = { kind: 'quota', prefix, resource: 'bytes', used, asked, allowed: limits.bytes ?? 0 }
  return denied(denial)
}

function isSame(one: Amounts, other: Amounts): boolean {
  return one.bytes === other.bytes && one.tags === other.tags && one.repositories === other.repositories
}

/** In pages, between which others write. */
async function largestBelow(
  contents: Metadata['contents'],
  prefix: string,
  count: number,
): Promise<RepositoryContents[]> {
  let largest: RepositoryContents[] = []
  const take = (found: readonly RepositoryContents[]) => {
    largest = [...largest, ...found].sort((one, other) => other.bytes - one.bytes).slice(0, count)
  }
  if (prefix !== '') {
    const found = await contents.repositories({ last: justBefore(prefix), limit: 1 })
    take(found.filter(({ name }) => name === prefix))
  }
  for (let last = prefix === '' ? undefined : `${prefix}/`; ; ) {
    const page = await contents.repositories({ last, limit: PAGE })
    take(page.filter(({ name }) => prefix === '' || name.startsWith(`${prefix}/`)))
    const end = page.at(-1)?.name
    if (page.length < PAGE || end === undefined || (prefix !== '' && !end.startsWith(`${prefix}/`))) return largest
    last = end
  }
}

/** The greatest text below this one that a name cannot be. */
function justBefore(name: string): string {
  return `${name.slice(0, -1)}${String.fromCharCode(name.charCodeAt(name.length - 1) - 1)}\u{10ffff}`
}
