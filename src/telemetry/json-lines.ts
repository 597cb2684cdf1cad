import type { FileHandle } from 'node:fs/promises'
import { open, rename, rm } from 'node:fs/promises'

export interface JsonLinesOptions {
  /** Bytes after which the file is put aside; 0: never. */
  maxBytes: number
  /** Files put aside that are kept, `PATH.1` (the newest) to `PATH.N`. */
  keep: number
  /** Told once of each outage, and at its end how many lines it cost. */
  onError: (error: Error) => void
  /** Milliseconds that a line waits for others. Default 250. */
  delayMs?: number
  /** Characters that wait at most while the disk does not keep up; lines past that are lost. Default 8 Mi. */
  maxWaiting?: number
}

export interface JsonLines {
  /** Cheap, and never throws. The line has no line break. */
  write(line: string): void
  /** Writes out what waits. Resolves when that has happened or failed. */
  flush(): Promise<void>
  /** Goes on in a new file where the old one was moved away (logrotate); writes what waits to the old one first. */
  reopen(): Promise<void>
  /** Writes out what waits and closes the file. Lines that come later are lost. */
  close(): Promise<void>
}

/** Characters that do not wait for the time, and about as many bytes as one call writes. */
const BATCH = 128 * 1024

/**
 * A file that lines of JSON are appended to (mode 0600 where it is made), off the main thread. Whatever goes wrong costs
 * lines, never the caller: a line that could not be written whole is never continued by the next one.
 * @throws Error when the file cannot be opened at first.
 */
export async function openJsonLines(path: string, options: JsonLinesOptions): Promise<JsonLines> {
  const { maxBytes, keep, onError, delayMs = 250, maxWaiting = 8 * 1024 * 1024 } = options
  let file = await openAppending(path)
  let waiting: string[] = []
  let characters = 0
  let lost = 0
  let failing = false
  let closed = false
  /** Whether a turn has been asked for that will take what waits. */
  let queued = false
  let timer: ReturnType<typeof setTimeout> | undefined
  let last: Promise<void> = Promise.resolve()

  function fail(error: unknown): void {
    if (!failing) onError(new Error(`${path} cannot be written`, { cause: error }))
    failing = true
  }

  function recover(): void {
    if (lost > 0) onError(new Error(`${path} can be written again; up to ${lost} lines are lost`))
    lost = 0
    failing = false
  }

  async function put(lines: readonly string[]): Promise<void> {
    const bytes = Buffer.from(`${file.torn ? '\n' : ''}${lines.join('\n')}\n`)
    for (let done = 0; done < bytes.length; ) {
      const { bytesWritten } = await file.handle.write(bytes, done)
      if (bytesWritten === 0) throw new Error('nothing could be written')
      done += bytesWritten
      file.size += bytesWritten
      file.torn = bytes[done - 1] !== 0x0a
    }
  }

  async function rotate(): Promise<void> {
    try {
      for (let n = keep; n >= 1; n--) {
        await renameIfThere(n === 1 ? path : `${path}.${n - 1}`, `${path}.${n}`)
      }
      if (keep === 0) await rm(path, { force: true })
      await change()
    } catch (cause) {
      onError(new Error(`${path} cannot be put aside and grows on`, { cause }))
      // The next attempt is due when as much again has come.
      file.size = 0
    }
  }

  /** The old file stays open until there is a new one. */
  async function change(): Promise<void> {
    const old = file
    file = await openAppending(path)
    await old.handle.close()
  }

  async function drain(): Promise<void> {
    queued = false
    const lines = waiting
    waiting = []
    characters = 0
    for (let start = 0; start < lines.length; ) {
      let end = endOfBatch(lines, start, roomIn(file))
      if (end === start) {
        if (file.size > 0) await rotate()
        // A line that does not fit into an empty file has one of its own.
        end = Math.max(start + 1, endOfBatch(lines, start, roomIn(file)))
      }
      try {
        await put(lines.slice(start, end))
        recover()
      } catch (error) {
        lost += end - start
        fail(error)
      }
      start = end
    }
  }

  function roomIn({ regular, size }: OpenFile): number {
    return maxBytes > 0 && regular ? maxBytes - size : Number.POSITIVE_INFINITY
  }

  function inTurn(step: () => Promise<void>): Promise<void> {
    last = last.then(step).catch(fail)
    return last
  }

  function flush(): Promise<void> {
    clearTimeout(timer)
    timer = undefined
    if (queued || waiting.length === 0) return last
    queued = true
    return inTurn(drain)
  }

  return {
    flush,
    write(line) {
      if (closed || characters + line.length > maxWaiting) {
        lost++
        if (!closed) fail(new Error('the disk does not keep up'))
        return
      }
      waiting.push(line)
      characters += line.length + 1
      if (characters >= BATCH) void flush()
      else if (!queued && timer === undefined) {
        timer = setTimeout(() => void flush(), delayMs)
        timer.unref()
      }
    },
    async reopen() {
      if (closed) return
      await flush()
      await inTurn(change)
    },
    async close() {
      if (closed) return
      closed = true
      await flush()
      await inTurn(() => file.handle.close())
    },
  }
}

interface OpenFile {
  handle: FileHandle
  /** Bytes. */
  size: number
  /** Whether it ends in the middle of a line, after a crash or a full disk. */
  torn: boolean
  /** Pipes and terminals have no size. */
  regular: boolean
}

async function openAppending(path: string): Promise<OpenFile> {
  const handle = await open(path, 'a', 0o600)
  try {
    const status = await handle.stat()
    const regular = status.isFile()
    return { handle, size: regular ? status.size : 0, torn: regular && (await endsTorn(path, status.size)), regular }
  } catch (error) {
    await handle.close()
    throw error
  }
}

async function endsTorn(path: string, size: number): Promise<boolean> {
  if (size === 0) return false
  const reader = await open(path, 'r')
  try {
    const { bytesRead, buffer } = await reader.read(Buffer.alloc(1), 0, 1, size - 1)
    return bytesRead === 1 && buffer[0] !== 0x0a
  } finally {
    await reader.close()
  }
}

async function renameIfThere(from: string, to: string): Promise<void> {
  try {
    await rename(from, to)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error
  }
}

/** The end of the lines from `start` that fit into `room` bytes and into one batch. */
function endOfBatch(lines: readonly string[], start: number, room: number): number {
  let bytes = 0
  let end = start
  for (; end < lines.length && bytes < BATCH; end++) {
    bytes += Buffer.byteLength(lines[end] ?? '') + 1
    if (bytes > room) break
  }
  return end
}
