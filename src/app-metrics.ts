import type { Watch } from './app-watch.ts'
import { type FreeSpace, freeSpace } from './files/free-space.ts'
import type { Metadata, QuotaRow, Totals } from './metadata/metadata.ts'
import { quotaPrefixText } from './oci/quota-prefix.ts'
import type { CacheCounts } from './registry/blobs.ts'
import type { Metrics } from './telemetry/metrics.ts'
import { observeProcess } from './telemetry/process-metrics.ts'

/** Milliseconds for which the totals of the database stay as they were counted; longer where counting takes long. */
const TOTALS_FOR = 60_000
/** So many times as long as counting took: then it is a thousandth of the database's time. */
const TOTALS_PATIENCE = 1000

/** What is asked for at a scrape. */
export function observeApp(
  { metrics }: Watch,
  deps: {
    version: string
    metadata: Metadata
    disks: () => Promise<Disk[]>
    caches: { manifest: CacheCounts; blob: CacheCounts }
  },
): void {
  observeProcess(metrics)
  const runtime = `bun ${Bun.version}`
  metrics
    .gauge('berth_build_info', 'The running program; always 1.', ['version', 'runtime'])(deps.version, runtime)
    .set(1)
  observeTotals(metrics, deps.metadata)
  observeQuotas(metrics, deps.metadata)
  observeCaches(metrics, deps.caches)
  observeDisks(metrics, deps.disks)
}

const TOTALS: readonly [keyof Totals, name: string, help: string][] = [
  ['repositories', 'berth_repositories', 'Repositories that have a manifest.'],
  ['tags', 'berth_tags', 'Tags.'],
  ['manifests', 'berth_manifests', 'Manifests, each once in each repository.'],
  ['manifestBytes', 'berth_manifests_bytes', 'Their bytes.'],
  ['blobs', 'berth_blobs', 'Blobs, each once, whatever repositories have it.'],
  ['blobBytes', 'berth_blobs_bytes', 'Their bytes.'],
  ['uploads', 'berth_uploads', 'Uploads under way.'],
  ['uploadBytes', 'berth_uploads_bytes', 'What of them has come.'],
]

function observeTotals(metrics: Metrics, metadata: Metadata): void {
  let until = 0
  let counted: Promise<Totals> | undefined

  function totals(): Promise<Totals> {
    const start = performance.now()
    if (counted !== undefined && start < until) return counted
    until = Number.POSITIVE_INFINITY
    counted = metadata.status.totals()
    counted.then(
      () => {
        const end = performance.now()
        until = end + Math.max(TOTALS_FOR, (end - start) * TOTALS_PATIENCE)
      },
      () => {
        until = 0
      },
    )
    return counted
  }

  for (const [key, name, help] of TOTALS) {
    metrics.observed('gauge', name, help, [], async () => [[[], (await totals())[key]]])
  }
}

/** Few rows, which are kept up to date by those who push. */
function observeQuotas(metrics: Metrics, { quotas }: Metadata): void {
  const kinds = ['bytes', 'tags', 'repositories'] as const
  const labels = ['prefix', 'source', 'resource']
  const each = (name: string, help: string, of: (quota: QuotaRow) => QuotaRow['used'] | QuotaRow['limits']) =>
    metrics.observed('gauge', name, help, labels, async () =>
      (await quotas.list()).flatMap((quota) =>
        kinds.flatMap((kind) => {
          const amount = of(quota)[kind]
          return amount === undefined ? [] : [[[quotaPrefixText(quota.prefix), quota.source, kind], amount] as const]
        }),
      ),
    )
  each('berth_quota_used', 'What repositories below the prefix of a quota hold.', ({ used }) => used)
  each('berth_quota_limit', 'What they may hold.', ({ limits }) => limits)
}

function observeCaches(metrics: Metrics, caches: { manifest: CacheCounts; blob: CacheCounts }): void {
  const named = Object.entries(caches)
  const sum = (of: (counts: CacheCounts) => number) => named.reduce((total, [, counts]) => total + of(counts), 0)
  const requests = () => sum((counts) => counts.requests)
  const hits = () => sum((counts) => counts.hits)
  const total = (name: string, help: string, read: () => number) =>
    metrics.observed('counter', name, help, [], () => [[[], read()]])
  total('registry_storage_cache_requests_total', 'The number of cache requests received', requests)
  total('registry_storage_cache_hits_total', 'The number of cache hits', hits)
  total('registry_storage_cache_errors_total', 'The number of cache errors', () => 0)
  // The same under the name that version 2 has for it.
  metrics.observed('counter', 'registry_storage_cache_total', 'The number of cache request received', ['type'], () => [
    [['Request'], requests()],
    [['Hit'], hits()],
    [['Miss'], requests() - hits()],
  ])
  const each = (name: string, help: string, of: (counts: CacheCounts) => number) =>
    metrics.observed('counter', name, help, ['cache'], () => named.map(([cache, counts]) => [[cache], of(counts)]))
  each('berth_cache_requests_total', 'What was looked up in memory.', (counts) => counts.requests)
  each('berth_cache_hits_total', 'What of it was there.', (counts) => counts.hits)
}

export type Disk = FreeSpace & { path: string }

/** The file systems of these folders. @throws Error when one cannot be asked. */
export async function disksOf(paths: readonly string[]): Promise<Disk[]> {
  return await Promise.all(paths.map(async (path) => ({ path, ...(await freeSpace(path)) })))
}

function observeDisks(metrics: Metrics, disks: () => Promise<Disk[]>): void {
  const each = (name: string, help: string, of: (disk: Disk) => number) =>
    metrics.observed('gauge', name, help, ['path'], async () => (await disks()).map((disk) => [[disk.path], of(disk)]))
  each('berth_disk_free_bytes', 'Bytes that can still be written where the data is.', ({ free }) => free)
  each('berth_disk_size_bytes', 'Size of that file system.', ({ size }) => size)
  each('berth_disk_free_files', 'Files that can still be made there (inodes).', ({ freeFiles }) => freeFiles)
}
