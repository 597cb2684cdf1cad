import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { scratchFolder } from '../../test/scratch.ts'
import { workerUrl } from '../threads/worker-program.ts'
import { openSqlite } from './sqlite.ts'

/**
 * As `openSqlite`, in a twentieth of the time, for tests that are not about opening: a new database begins as a copy of one that the
 * migrations made, and the thread that writes goes on to the next database when this one is closed, for a new one has to load all modules
 * first.
 */
export async function openQuickly(options: Parameters<typeof openSqlite>[0]): ReturnType<typeof openSqlite> {
  const { path, now } = options
  if (!existsSync(path)) writeFileSync(path, await migrated(now?.()), { mode: 0o600 })
  return await openSqlite({ ...options, startThread })
}

/** A new database of that moment (milliseconds since the epoch), or of any: the migrations put down when they ran, to tell people. */
async function migrated(now: number | undefined): Promise<Uint8Array> {
  const known = templates.get(now)
  if (known !== undefined) return known
  const directory = scratchFolder('berth-migrated-')
  try {
    const path = join(directory, 'berth.db')
    await (await openSqlite({ path, ...(now === undefined ? {} : { now: () => now }), startThread })).close()
    const bytes = readFileSync(path)
    templates.set(now, bytes)
    return bytes
  } finally {
    rmSync(directory, { recursive: true })
  }
}

const templates = new Map<number | undefined, Uint8Array>()

/** Each has closed its database. */
const idle: Worker[] = []

function startThread(): Worker {
  const known = idle.pop()
  if (known !== undefined) {
    known.ref()
    return known
  }
  const worker = new Worker(workerUrl('metadata/sqlite-worker'))
  const end = worker.terminate.bind(worker)
  let isBroken = false
  for (const event of ['error', 'close'] as const) {
    worker.addEventListener(event, () => {
      isBroken = true
    })
  }
  worker.terminate = () => {
    if (isBroken) return end()
    worker.unref()
    idle.push(worker)
  }
  return worker
}
