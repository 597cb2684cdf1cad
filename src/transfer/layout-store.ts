import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { UpstreamError } from '../upstream/error.ts'
import { INDEX_FILE, LAYOUT_FILE } from './layout.ts'
import { createTarWriter } from './tar-writer.ts'

/** Where a layout is written: a directory, or an archive of one. */
export interface LayoutStore {
  name: string
  /** How many files can be written at a time. */
  writers: number
  /** Whether a file is there whole. */
  has(path: string, size: number): boolean
  /** `chunks` throws when they are not what they should be, and then there is no such file. */
  put(path: string, size: number, chunks: AsyncIterable<Uint8Array>): Promise<void>
  /** What was there before, of the files that `end` writes. */
  before(path: string): Uint8Array | undefined
  /** These files make it a layout: they come last. */
  end(files: ReadonlyMap<string, Uint8Array>): Promise<void>
  /** What was begun and not ended is taken away, but for what a next run can use. Always called last. */
  abandon(): void
}

/** @throws UpstreamError where something else is */
export function directoryStore(path: string): LayoutStore {
  const drafts = new Set<string>()
  const stat = orSay(path, () => statSync(path, { throwIfNoEntry: false }))
  if (stat !== undefined && !stat.isDirectory()) {
    throw new UpstreamError('usage', `${path} is a file, and not the directory of a layout`, {
      hint: 'for an archive of a layout its name ends with .tar',
    })
  }
  const others = stat === undefined ? [] : readdirSync(path).filter((name) => name !== 'blobs')
  if (others.length > 0 && !others.includes(LAYOUT_FILE) && !others.includes(INDEX_FILE)) {
    throw new UpstreamError('usage', `${path} is a directory with other things, and no layout`)
  }

  const removeDrafts = () => {
    for (const draft of drafts) rmSync(draft, { force: true })
  }
  const forget = atExit(removeDrafts)

  /** Whole under its name, or not there. */
  async function write(file: string, chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<void> {
    const target = join(path, file)
    const draft = join(path, dirname(file), `.${file.slice(file.lastIndexOf('/') + 1)}.${process.pid}.part`)
    drafts.add(draft)
    const handle = orSay(path, () => {
      mkdirSync(dirname(target), { recursive: true })
      return openSync(draft, 'w')
    })
    try {
      for await (const chunk of chunks) writeAll(handle, chunk)
      fsyncSync(handle)
      closeSync(handle)
      renameSync(draft, target)
    } catch (error) {
      closeQuietly(handle)
      rmSync(draft, { force: true })
      throw cannotWrite(path, error)
    } finally {
      drafts.delete(draft)
    }
  }

  return {
    name: path,
    writers: Number.POSITIVE_INFINITY,
    has: (file, size) => statSync(join(path, file), { throwIfNoEntry: false })?.size === size,
    put: (file, _size, chunks) => write(file, chunks),
    before(file) {
      try {
        return new Uint8Array(readFileSync(join(path, file)))
      } catch {
        return undefined
      }
    },
    async end(files) {
      for (const [file, bytes] of files) await write(file, [bytes])
    },
    abandon() {
      removeDrafts()
      forget()
    },
  }
}

/** As one stream, in which nothing can be taken back: a broken one has no end that a reader would take for whole. */
export function streamStore(name: string, write: (bytes: Uint8Array) => void): LayoutStore {
  const tar = createTarWriter(write)
  const done = new Map<string, number>()
  let fault: unknown
  return {
    name,
    writers: 1,
    has: (file, size) => done.get(file) === size,
    async put(file, size, chunks) {
      // What comes after a broken file would be taken for its end.
      if (fault !== undefined) throw fault
      try {
        await tar.add(file, size, chunks)
      } catch (error) {
        fault = error
        throw error
      }
      done.set(file, size)
    },
    before: () => undefined,
    async end(files) {
      for (const [file, bytes] of files) await tar.add(file, bytes.byteLength, [bytes])
      tar.end()
    },
    abandon() {},
  }
}

/** An archive under its name when it is whole. @throws UpstreamError */
export function archiveStore(path: string): LayoutStore {
  if (orSay(path, () => statSync(path, { throwIfNoEntry: false }))?.isDirectory() === true) {
    throw new UpstreamError('usage', `${path} is a directory`, { hint: '--format oci writes a layout into it' })
  }
  const draft = `${path}.${process.pid}.part`
  let handle: number | undefined = orSay(path, () => openSync(draft, 'wx'))
  const forget = atExit(() => rmSync(draft, { force: true }))
  const store = streamStore(path, (bytes) => orSay(path, () => writeAll(handle as number, bytes)))
  return {
    ...store,
    async end(files) {
      await store.end(files)
      orSay(path, () => {
        fsyncSync(handle as number)
        closeSync(handle as number)
        handle = undefined
        renameSync(draft, path)
      })
    },
    abandon() {
      if (handle !== undefined) closeQuietly(handle)
      rmSync(draft, { force: true })
      forget()
    },
  }
}

/** For whoever interrupts twice, and does not wait. */
function atExit(work: () => void): () => void {
  process.on('exit', work)
  return () => void process.off('exit', work)
}

function writeAll(handle: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.byteLength; ) at += writeSync(handle, bytes, at)
}

function closeQuietly(handle: number): void {
  try {
    closeSync(handle)
  } catch {
    // It is closed.
  }
}

function orSay<T>(path: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw cannotWrite(path, error)
  }
}

/** What the system says, in a line; any other error is what it was. */
function cannotWrite(path: string, error: unknown): unknown {
  if (!(error instanceof Error) || !('syscall' in error)) return error
  const reason = error.message.replace(/^[A-Z]+: /, '').replace(/, \w+( '.*)?$/, '')
  return new UpstreamError('failed', `cannot write ${path}: ${reason}`, { cause: error })
}
