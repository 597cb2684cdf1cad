import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import { rm, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { Clock } from './app-clock.ts'
import type { Config } from './config/config.ts'
import { bytesOfLimit, freeSpace } from './files/free-space.ts'
import { type DatabaseCopies, startCopyingDatabase } from './jobs/copy-database.ts'
import type { Periodic } from './jobs/periodic.ts'
import type { Damage } from './metadata/damage.ts'
import { MetadataError } from './metadata/metadata.ts'
import { writeSnapshot } from './metadata/snapshot.ts'
import { SNAPSHOTS_FOLDER } from './metadata/snapshot-file.ts'
import { createSnapshots, type Snapshots } from './registry/snapshots.ts'
import type { Log } from './telemetry/log.ts'

const HELD = 'backup-'
const DAILY = /^daily-(\d{4}-\d\d-\d\dT\d{6}\.\d{3}Z)\.db$/

/**
 * Snapshots for backups. Those of a process that was killed go: the caller owns the data directory. A command without a
 * server (not `background`) is told by the snapshot itself why there is none, and says so: no line of a log besides.
 */
export function openSnapshots(
  data: Config['data'],
  { log, now, newId, damage, background }: Clock & { log: Log; damage?: Damage; background: boolean },
): Snapshots {
  const database = resolve(data.metadata)
  const folder = join(database, SNAPSHOTS_FOLDER)
  removeLeftovers(folder)
  return createSnapshots({
    pathOf: (id) => join(folder, `${HELD}${id}.db`),
    async write(path) {
      await write(database, path, damage)
    },
    remove: (path) => rm(path, { force: true }),
    onError: (error) =>
      log[background ? 'error' : 'info']('a snapshot of the database could not be written or removed', { error }),
    now,
    newId,
  })
}

/** Copies of the database that are made by themselves, beside it. */
export function startDailyCopies(deps: {
  data: Config['data']
  config: () => Pick<Config, 'backup' | 'trash'>
  background: boolean
  /** Hears of a damage that is found meanwhile; no copy is made of it. */
  damage?: Damage
  log: Log
  now: Clock['now']
}): Periodic {
  const { data, config, background, damage, log, now } = deps
  const database = resolve(data.metadata)
  const folder = join(database, SNAPSHOTS_FOLDER)
  // ISO 8601 without colons, which some file systems do not take.
  const pathOf = (at: number) => join(folder, `daily-${new Date(at).toISOString().replaceAll(':', '')}.db`)
  const copies: DatabaseCopies = {
    async list() {
      return namesIn(folder).flatMap((name) => timeOf(name) ?? [])
    },
    write: (at) => write(database, pathOf(at), damage),
    remove: (at) => rm(pathOf(at), { force: true }),
  }
  return startCopyingDatabase({
    ...{ copies, background, log, now },
    settings: () => config().backup.database,
    async hasRoom() {
      const { size } = await stat(join(database, 'berth.db'))
      const disk = await freeSpace(database)
      return disk.free >= size + bytesOfLimit(config().trash.minFree, disk.size)
    },
  })
}

async function write(database: string, path: string, damage: Damage | undefined): Promise<void> {
  mkdirSync(join(database, SNAPSHOTS_FOLDER), { recursive: true, mode: 0o700 })
  try {
    await writeSnapshot(join(database, 'berth.db'), path)
  } catch (error) {
    if (error instanceof MetadataError) damage?.report(error)
    throw error
  }
}

function timeOf(name: string): number | undefined {
  const [, text = ''] = DAILY.exec(name) ?? []
  const at = Date.parse(text.replace(/T(\d\d)(\d\d)/, 'T$1:$2:'))
  return Number.isNaN(at) ? undefined : at
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

function removeLeftovers(folder: string): void {
  for (const name of namesIn(folder)) {
    if (name.startsWith(HELD) || name.endsWith('.new')) rmSync(join(folder, name), { force: true })
  }
}
