import { join } from 'node:path'
import type { Contents, StoredBlob } from '../metadata/metadata.ts'
import type { Progress } from './export.ts'
import { findBlob } from './pages.ts'
import type { Places } from './place.ts'
import { missingBytes, note, type Report } from './report.ts'

export interface Placing {
  contents: Contents
  storage: string
  places: Places
  progress: Progress
  report: Report
}

/**
 * Puts a blob's bytes under `to`. A blob that moved to another key since its row was read is found there. False when the
 * repository has it no longer. `near`: where the bytes may be on the target's own file system.
 */
export async function placeBlob(
  { contents, storage, places, progress, report }: Placing,
  repository: string,
  blob: StoredBlob,
  to: string,
  near?: string,
): Promise<boolean> {
  const { digest } = blob
  let row = blob
  for (let source = near ?? join(storage, row.key); ; ) {
    let told = 0
    const placed = await places.blob(source, to, row.size, (count) => {
      told += count
      progress.bytes(count)
    })
    if (placed !== 'missing') {
      report[placed].files++
      report[placed].bytes += row.size
      progress.bytes(row.size - told)
      return true
    }
    const again = await findBlob(contents, repository, digest)
    if (again === undefined) return false
    const next = join(storage, again.key)
    if (next === source) {
      note(report, missingBytes(repository, digest, `${again.key} is missing or has another size than ${again.size}`))
      return true
    }
    row = again
    source = next
  }
}
