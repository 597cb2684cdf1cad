import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Metadata } from './metadata/metadata.ts'
import { lockDirectory, refuseNetworkFileSystem } from './metadata/owner-lock.ts'
import { openSqlite } from './metadata/sqlite.ts'

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
  mkdirSync(data.directory, { recursive: true })
  mkdirSync(data.metadata, { recursive: true })
  refuseNetworkFileSystem(data.metadata)
  const locks = new Set([data.directory, data.metadata])
  try {
    for (const directory of locks) {
      const lock = lockDirectory(directory)
      if (lock === undefined) {
        throw new Error(`the data directory ${directory} is in use by another berth; one process owns it at a time`)
      }
      closers.push(async () => lock.release())
    }
    const metadata = await openSqlite({ path: join(data.metadata, 'berth.db') })
    closers.push(() => metadata.close())
    return { metadata, closers, close }
  } catch (error) {
    await close()
    throw error
  }
}
