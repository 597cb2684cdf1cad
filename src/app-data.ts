import { join, resolve } from 'node:path'
import type { Metadata } from './metadata/metadata.ts'
import { lockDirectory, refuseNetworkFileSystem } from './metadata/owner-lock.ts'
import { openSqlite } from './metadata/sqlite.ts'
import { makeDirectories } from './storage/durable.ts'

export interface OwnedData {
  metadata: Metadata
  /** Runs at `close`, the last one first. */
  closers: (() => Promise<void>)[]
  close(): Promise<void>
}

/** Takes possession of a data directory, which is made when it is missing. @throws Error while another process has it. */
export async function openData(data: { directory: string; metadata: string }): Promise<OwnedData> {
  const closers: (() => Promise<void>)[] = []
  const close = async () => {
    for (const closer of closers.reverse()) await closer()
  }
  const database = resolve(data.metadata)
  const directories = new Set([resolve(data.directory), database])
  for (const directory of directories) makeDirectories(directory)
  refuseNetworkFileSystem(database)
  try {
    for (const directory of directories) {
      const lock = lockDirectory(directory)
      if (lock === undefined) {
        throw new Error(`the data directory ${directory} is in use by another berth; one process owns it at a time`)
      }
      closers.push(async () => lock.release())
    }
    const metadata = await openSqlite({ path: join(database, 'berth.db') })
    closers.push(() => metadata.close())
    return { metadata, closers, close }
  } catch (error) {
    await close()
    throw error
  }
}
