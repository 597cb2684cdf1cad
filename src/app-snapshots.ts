import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { Clock } from './app-clock.ts'
import type { Config } from './config/config.ts'
import { writeSnapshot } from './metadata/snapshot.ts'
import { createSnapshots, type Snapshots } from './registry/snapshots.ts'
import type { Log } from './telemetry/log.ts'

/** Beside the database. */
const FOLDER = 'berth-snapshots'
const HELD = 'backup-'

/** Snapshots for backups. Those of a process that was killed go: the caller owns the data directory. */
export function openSnapshots(data: Config['data'], { log, now, newId }: Clock & { log: Log }): Snapshots {
  const database = resolve(data.metadata)
  const folder = join(database, FOLDER)
  removeLeftovers(folder)
  return createSnapshots({
    pathOf: (id) => join(folder, `${HELD}${id}.db`),
    async write(path) {
      mkdirSync(folder, { recursive: true, mode: 0o700 })
      await writeSnapshot(join(database, 'berth.db'), path)
    },
    remove: (path) => rm(path, { force: true }),
    onError: (error) => log.error('a snapshot of the database could not be written or removed', { error }),
    now,
    newId,
  })
}

function removeLeftovers(folder: string): void {
  let names: string[]
  try {
    names = readdirSync(folder)
  } catch {
    return
  }
  for (const name of names) {
    if (name.startsWith(HELD) || name.endsWith('.new')) rmSync(join(folder, name), { force: true })
  }
}
