import { mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { createContentCheck, type Expected } from '../upstream/content-check.ts'
import { UpstreamError } from '../upstream/error.ts'
import { openDraft, orSay } from './draft-file.ts'
import { INDEX_FILE, LAYOUT_FILE } from './layout.ts'
import { createTarWriter } from './tar-writer.ts'
import { untilAborted } from './until-aborted.ts'

/** Where a layout is written: a directory, or an archive of one. */
export interface LayoutStore {
  name: string
  /** How many files can be written at a time. */
  writers: number
  /** What there is under the name of a content: all its bytes are compared. @throws UpstreamError where it may not be read */
  state(path: string, content: Required<Expected>): Promise<'whole' | 'missing' | 'damaged'>
  /** `chunks` throws when they are not what they should be, and then there is no such file. */
  put(path: string, size: number, chunks: AsyncIterable<Uint8Array>): Promise<void>
  /** What was there before, of the files that `end` writes. */
  before(path: string): Uint8Array | undefined
  /** These files make it a layout: they come last. */
  end(files: ReadonlyMap<string, Uint8Array>): Promise<void>
  /** What was begun and not ended is taken away, but for what a next run can use. Always called last. */
  abandon(): void
}

/** `signal` ends the reading of what is there. @throws UpstreamError where something else is */
export function directoryStore(path: string, signal?: AbortSignal): LayoutStore {
  const stat = orSay(path, () => statSync(path, { throwIfNoEntry: false }))
  if (stat !== undefined && !stat.isDirectory()) {
    throw new UpstreamError('usage', `${path} is a file, and not the directory of a layout`, {
      hint: 'for an archive of a layout its name ends with .tar',
    })
  }
  const names = stat === undefined ? [] : orSay(path, () => readdirSync(path), 'read')
  const others = names.filter((name) => name !== 'blobs')
  if (others.length > 0 && !others.includes(LAYOUT_FILE) && !others.includes(INDEX_FILE)) {
    throw new UpstreamError('usage', `${path} is a directory with other things, and no layout`)
  }

  /** Whole under its name, or not there. */
  async function write(file: string, chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<void> {
    const target = join(path, file)
    orSay(path, () => mkdirSync(dirname(target), { recursive: true }))
    const draft = openDraft(target, { called: path, isHidden: true })
    try {
      for await (const chunk of chunks) draft.write(chunk)
      draft.keep()
    } finally {
      draft.discard()
    }
  }

  return {
    name: path,
    writers: Number.POSITIVE_INFINITY,
    async state(file, content) {
      const place = join(path, file)
      const found = orSay(path, () => statSync(place, { throwIfNoEntry: false }), 'read')
      if (found === undefined) return 'missing'
      return found.isFile() && found.size === content.size && (await isWhole(place, content, signal))
        ? 'whole'
        : 'damaged'
    },
    put: (file, _size, chunks) => write(file, chunks),
    before(file) {
      const isThere = statSync(join(path, file), { throwIfNoEntry: false }) !== undefined
      return isThere ? orSay(path, () => new Uint8Array(readFileSync(join(path, file))), 'read') : undefined
    },
    async end(files) {
      for (const [file, bytes] of files) await write(file, [bytes])
    },
    abandon() {},
  }
}

/** @throws UpstreamError for a file that may not be read; one that cannot be is damaged */
async function isWhole(place: string, content: Expected, signal: AbortSignal | undefined): Promise<boolean> {
  const check = createContentCheck(content, ({ found }) => new UpstreamError('invalid', found))
  try {
    for await (const chunk of untilAborted(Bun.file(place).stream(), signal)) check.add(chunk)
    check.end()
    return true
  } catch (error) {
    if (signal?.aborted === true) throw error
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code === 'EACCES' || code === 'EPERM') {
      throw new UpstreamError('failed', `cannot read ${place}: permission denied`, { cause: error })
    }
    return false
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
    // What was written here was compared on its way.
    state: async (file, { size }) => (done.get(file) === size ? 'whole' : 'missing'),
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
  const draft = openDraft(path)
  const store = streamStore(path, draft.write)
  return {
    ...store,
    async end(files) {
      await store.end(files)
      draft.keep()
    },
    abandon: draft.discard,
  }
}
