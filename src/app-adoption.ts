import { copyFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { Clock } from './app-clock.ts'
import { bootId } from './app-files.ts'
import { OPERATOR_CALLER } from './app-operator.ts'
import type { Config } from './config/config.ts'
import { freeSpaceNow } from './files/free-space.ts'
import type { Metadata } from './metadata/metadata.ts'
import { isDirectoryFree } from './metadata/owner-lock.ts'
import { openSqlite } from './metadata/sqlite.ts'
import { type AdoptionProgress, AdoptionRefused, adopt } from './registry/adopt.ts'
import { type AdoptionReport, type Fault, wordsFor } from './registry/adoption-report.ts'
import { guardDistributionTree, openDistributionTree } from './storage/distribution-tree.ts'
import { createReportFile, type ReportFile } from './telemetry/report-file.ts'

export type { AdoptionProgress, AdoptionReport, Fault as TreeFault }
export { wordsFor }

export interface AdoptionWishes {
  /** Hashes every blob. */
  verify: boolean
  onProgress: (progress: AdoptionProgress) => void
  onFault: (fault: Fault) => void
  /** Ends it between two steps; it goes on from there another time. */
  signal?: AbortSignal | undefined
}

type Where = Pick<Config, 'data' | 'validation'>

/** Whether another registry left images in the data directory that Berth does not show yet. */
export function hasTree({ data }: Pick<Config, 'data'>): boolean {
  return openDistributionTree(data.directory).isThere()
}

/** Keeps the other registry from harm where its images were adopted. */
export function guardTree({ data }: Pick<Config, 'data'>): void {
  guardDistributionTree(data.directory)
}

/**
 * Adopts what another registry left in the data directory, which the caller owns. Undefined when there is nothing.
 * @throws Error with a text for the operator; whatever it says, nothing of the tree was changed.
 */
export async function adoptTree(
  config: Where,
  { metadata, now }: { metadata: Metadata } & Pick<Clock, 'now'>,
  wishes: AdoptionWishes,
): Promise<AdoptionReport | undefined> {
  const directory = resolve(config.data.directory)
  const tree = openDistributionTree(directory)
  if (!tree.isThere()) return undefined
  const path = join(directory, `berth-adoption-${new Date(now()).toISOString().replace(/[:.]/g, '-')}.jsonl`)
  const file = createReportFile(path, join(directory, 'berth-adoption.part'))
  try {
    const onFault = (fault: Fault) => {
      file.line(fault)
      wishes.onFault(fault)
    }
    const report = await run(config, { metadata, now, tree }, { ...wishes, dryRun: false, onFault })
    return { ...report, file: finished(file, report) ? path : undefined }
  } finally {
    file.discard()
    await tree.close()
  }
}

/** By now all is adopted: a report that cannot be written must not make it look as if it had failed. */
function finished(file: ReportFile, report: AdoptionReport): boolean {
  try {
    file.line(report)
    file.finish()
    return true
  } catch {
    return false
  }
}

/**
 * What `adoptTree` would do. Its rows go to a database in a temporary folder, which begins as a copy of the one that is there.
 * @throws Error with a text for the operator.
 */
export async function rehearseAdoption(
  config: Where,
  { now }: Pick<Clock, 'now'>,
  wishes: AdoptionWishes,
): Promise<AdoptionReport | undefined> {
  const tree = openDistributionTree(config.data.directory)
  if (!tree.isThere()) return undefined
  for (const directory of new Set([config.data.directory, config.data.metadata])) {
    if (isDirectoryFree(resolve(directory))) continue
    throw new Error(`${resolve(directory)} is in use by another berth, which adopts what is there when it starts`)
  }
  const scratch = mkdtempSync(join(tmpdir(), 'berth-adoption-'))
  try {
    const path = join(scratch, 'berth.db')
    for (const suffix of ['', '-wal']) {
      const database = join(resolve(config.data.metadata), `berth.db${suffix}`)
      if (existsSync(database)) copyFileSync(database, `${path}${suffix}`)
    }
    const metadata = await openSqlite({ path, now })
    try {
      return await run(config, { metadata, now, tree }, { ...wishes, dryRun: true })
    } finally {
      await metadata.close()
    }
  } finally {
    await tree.close()
    rmSync(scratch, { recursive: true, force: true })
  }
}

async function run(
  config: Where,
  { metadata, now, tree }: { metadata: Metadata; tree: ReturnType<typeof openDistributionTree> } & Pick<Clock, 'now'>,
  options: Parameters<typeof adopt>[1],
): Promise<AdoptionReport> {
  const directory = resolve(config.data.directory)
  const deps = {
    metadata,
    tree,
    now,
    bootId: bootId(),
    by: OPERATOR_CALLER,
    freeBytes: () => freeSpaceNow(resolve(config.data.metadata)).free,
    validated: config.validation.enabled,
  }
  try {
    return await adopt(deps, options)
  } catch (error) {
    if (!(error instanceof AdoptionRefused)) throw error
    const remedy = error.reason === 'denied' ? `\n${chown(directory)}` : ''
    throw new Error(
      `the images of registry:2 in ${directory} cannot be adopted, and nothing was changed: ${error.message}${remedy}`,
      { cause: error },
    )
  }
}

function chown(directory: string): string {
  return `Give all of it to the user that Berth runs as: chown -R ${process.geteuid?.()}:${process.getegid?.()} ${directory}`
}
