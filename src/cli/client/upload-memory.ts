import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isAlive } from '../../transfer/draft-file.ts'
import type { UploadKey, UploadMemory } from '../../upstream/upload.ts'

/** Milliseconds after which no registry keeps an upload that nobody goes on with (Berth and registry:2: a week). */
const KEPT = 7 * 24 * 60 * 60 * 1000

interface Note {
  place: string
  /** Who is at it, or was. */
  pid: number
}

/**
 * Uploads that were begun and not ended, a file each (XDG Base Directory Specification, "state"). Without a folder that can be
 * written they are forgotten: nothing but time is lost. `now`: milliseconds since the epoch.
 */
export function uploadMemory(
  env: Readonly<Record<string, string | undefined>>,
  home: string,
  now: () => number,
): UploadMemory {
  const folder = join(env.XDG_STATE_HOME || join(home, '.local', 'state'), 'berth', 'uploads')
  const pathOf = ({ registry, repository, digest }: UploadKey) =>
    join(folder, createHash('sha256').update(`${registry}/${repository}@${digest}`).digest('hex'))
  let isTidy = false

  function tidy(): void {
    if (isTidy) return
    isTidy = true
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    for (const name of readdirSync(folder)) {
      const path = join(folder, name)
      if (statSync(path).mtimeMs < now() - KEPT) rmSync(path, { force: true })
    }
  }

  return {
    find(key) {
      try {
        const { place, pid } = JSON.parse(readFileSync(pathOf(key), 'utf8')) as Partial<Note>
        if (typeof place !== 'string' || typeof pid !== 'number') return undefined
        // Two processes that go on with one upload would spoil it.
        return pid !== process.pid && isAlive(pid) ? undefined : place
      } catch {
        return undefined
      }
    },
    keep(key, place) {
      try {
        tidy()
        const path = pathOf(key)
        const draft = `${path}.${process.pid}`
        const note: Note = { place, pid: process.pid }
        // The place may let others in who know it.
        writeFileSync(draft, JSON.stringify(note), { mode: 0o600 })
        renameSync(draft, path)
      } catch {
        // It is then sent anew.
      }
    },
    forget(key) {
      try {
        rmSync(pathOf(key), { force: true })
      } catch {
        // The registry will not know it any more.
      }
    },
  }
}
