import { resolve } from 'node:path'
import { type BackupReport, type HeldSnapshot, type Progress, runBackup } from './backup/backup.ts'
import { BackupError } from './backup/backup-error.ts'
import { type RestoreReport, runRestore } from './backup/restore.ts'
import type { Config } from './config/config.ts'
import type { SnapshotView } from './http/api/snapshots.ts'
import type { Control } from './run-control.ts'

export type { Amount, BackupReport, Progress } from './backup/backup.ts'
export { BackupError } from './backup/backup-error.ts'
export type { Missing } from './backup/marker.ts'
export type { RestoreReport } from './backup/restore.ts'

/** Milliseconds between two looks at a snapshot that is being written, and at one that is being used. */
const WRITING = 50
const HOLDING = 20_000

/**
 * Backs up what a data directory holds. The files are written by this process; the snapshot of the database comes from
 * whoever has the directory open, who unlinks nothing meanwhile.
 * @throws BackupError
 */
export async function backupData(
  control: Control,
  config: Config,
  request: { directory: string; replace: boolean; progress: Progress },
): Promise<BackupReport> {
  return await runBackup({
    ...request,
    directory: resolve(request.directory),
    storage: resolve(config.data.directory),
    database: resolve(config.data.metadata),
    snapshot: () => takeSnapshot(control),
  })
}

/** Makes a data directory of a backup. @throws BackupError */
export async function restoreData(
  config: Config,
  request: { from: string; verify: boolean; incomplete: boolean; progress: Progress },
): Promise<RestoreReport> {
  return await runRestore({
    ...request,
    from: resolve(request.from),
    storage: resolve(config.data.directory),
    database: resolve(config.data.metadata),
  })
}

async function takeSnapshot(control: Control): Promise<HeldSnapshot> {
  async function ask(method: string, path: string): Promise<Response> {
    try {
      return await control.fetch(new Request(`http://berth/api/v1/snapshots${path}`, { method }))
    } catch (error) {
      throw new BackupError('the server has ended. Back up again: what is there already is kept', error)
    }
  }
  async function look(method: string, path: string): Promise<SnapshotView> {
    const response = await ask(method, path)
    if (response.ok) return (await response.json()) as SnapshotView
    const problem = (await response.json().catch(() => ({}))) as { detail?: string }
    throw new BackupError(`the server takes no snapshot: ${problem.detail ?? response.status}`)
  }

  let snapshot = await look('POST', '')
  const path = `/${encodeURIComponent(snapshot.id)}`
  while (snapshot.state === 'writing') {
    await Bun.sleep(WRITING)
    snapshot = await look('GET', path)
  }
  const isHeld = async () => (await ask('GET', path).catch(() => undefined))?.ok === true
  const end = async () => {
    await ask('DELETE', path).catch(() => undefined)
  }
  if (snapshot.state === 'failed') {
    await end()
    throw new BackupError(`the server could write no snapshot of its database: ${snapshot.problem}`)
  }
  // A server that ends meanwhile is no fault by itself: the bytes stay, unless the next one collects them.
  const renewal = setInterval(isHeld, HOLDING)
  return {
    path: snapshot.path,
    at: Date.parse(snapshot.at),
    isHeld,
    async end() {
      clearInterval(renewal)
      await end()
    },
  }
}
