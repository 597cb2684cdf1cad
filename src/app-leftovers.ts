import type { Metadata } from './metadata/metadata.ts'
import type { Uploads } from './registry/uploads.ts'
import type { Storage } from './storage/storage.ts'
import type { Log } from './telemetry/log.ts'

/** Rows that a start looks at; the others end when they are old. */
const MOST_ROWS = 1000

/**
 * What a crash or a fault left of uploads: files that no row knows, rows whose file is gone. To be called before anything is
 * served, when none is under way; what was found is then removed while the server works, and `done` resolves when it is.
 */
export async function removeLeftovers(deps: {
  metadata: Pick<Metadata, 'uploads'>
  storage: Pick<Storage, 'uploads' | 'sizeOf'>
  uploads: Pick<Uploads, 'forgetStray'>
  log: Log
}): Promise<{ done: Promise<void> }> {
  const { metadata, storage, uploads, log } = deps
  const ids: string[] = []
  for await (const { id } of storage.uploads()) ids.push(id)
  const rows = await metadata.uploads.stale(Number.MAX_SAFE_INTEGER, MOST_ROWS)

  async function remove(): Promise<void> {
    let files = 0
    for (const id of ids) if (await uploads.forgetStray(id)) files++
    let sessions = 0
    for (const { id, size, state } of rows) {
      if ((await storage.sizeOf({ id, size, state })) !== undefined) continue
      await metadata.uploads.remove(id)
      sessions++
    }
    if (files + sessions > 0) log.info('what a crash left of uploads is removed', { files, sessions })
  }

  const done = remove().catch((error: unknown) => log.warn('what a crash left of uploads stays for now', { error }))
  return { done }
}
