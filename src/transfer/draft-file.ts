import {
  closeSync,
  constants,
  fchmodSync,
  fsyncSync,
  lstatSync,
  openSync,
  readdirSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { UpstreamError } from '../upstream/error.ts'

/** A file that is written beside its place, and takes it when it is whole: under its name is the whole one, or what was there. */
export interface DraftFile {
  /** @throws UpstreamError */
  write(bytes: Uint8Array): void
  /** Gives it its name, once its bytes are on the disk. @throws UpstreamError */
  keep(): void
  /** Takes it away; nothing when it was kept. */
  discard(): void
}

export interface DraftOptions {
  /** What errors name in place of the path. */
  called?: string
  /** For a folder in which other programs look. */
  isHidden?: boolean
}

/** Of those that are open; whoever interrupts twice does not wait for them to be discarded. */
const open = new Set<string>()
let isWatching = false

/** @throws UpstreamError where no file can be */
export function openDraft(path: string, { called = path, isHidden = false }: DraftOptions = {}): DraftFile {
  const place = orSay(called, () => placeOf(path, called))
  if (place.kind === 'device') return directly(place.path, called)
  const { path: target, mode } = place
  const { draft, handle } = orSay(called, () => begin(target, isHidden))
  let isOpen = true
  const close = () => {
    if (isOpen) closeSync(handle)
    isOpen = false
  }
  const discard = () => {
    if (!open.delete(draft)) return
    try {
      close()
    } finally {
      rmSync(draft, { force: true })
    }
  }
  const orDiscard = <T>(work: () => T): T => {
    try {
      return orSay(called, work)
    } catch (error) {
      discard()
      throw error
    }
  }
  // A file that others may not read stays one.
  if (mode !== undefined) orDiscard(() => fchmodSync(handle, mode))
  return {
    discard,
    write: (bytes) => orDiscard(() => writeAll(handle, bytes)),
    keep() {
      orDiscard(() => {
        fsyncSync(handle)
        close()
        renameSync(draft, target)
      })
      open.delete(draft)
    },
  }
}

type Place = { kind: 'device'; path: string } | { kind: 'file'; path: string; mode: number | undefined }

/** Where the bytes go in the end. To rename a file onto `/dev/null` would take it away from everybody. */
function placeOf(path: string, called: string): Place {
  const stat = statSync(path, { throwIfNoEntry: false })
  if (stat === undefined) return { kind: 'file', path, mode: undefined }
  if (stat.isDirectory()) throw new UpstreamError('usage', `${called} is a directory, and no file`)
  if (stat.isCharacterDevice()) return { kind: 'device', path }
  if (!stat.isFile()) {
    throw new UpstreamError('usage', `${called} is a pipe or a device, and no file`, {
      hint: 'write to standard output, and send that there',
    })
  }
  // A link stays one.
  const target = lstatSync(path).isSymbolicLink() ? realpathSync(path) : path
  return { kind: 'file', path: target, mode: stat.mode & 0o7777 }
}

function directly(path: string, called: string): DraftFile {
  const handle = orSay(called, () => openSync(path, constants.O_WRONLY))
  let isOpen = true
  const close = () => {
    if (isOpen) orSay(called, () => closeSync(handle))
    isOpen = false
  }
  return { write: (bytes) => orSay(called, () => writeAll(handle, bytes)), keep: close, discard: close }
}

/** Drafts of one name that are tried: another container may have a process of the same number. */
const TRIES = 100
/** Milliseconds in which nobody wrote to what a killed process left. */
const STALE = 120_000

function begin(target: string, isHidden: boolean): { draft: string; handle: number } {
  const [folder, name] = [dirname(target), basename(target).slice(0, 64)]
  removeStale(folder, `${isHidden ? '.' : ''}${name}.`)
  for (let number = 0; ; number++) {
    const own = `${isHidden ? '.' : ''}${name}.${process.pid}${number === 0 ? '' : `-${number}`}.part`
    const draft = join(folder, own)
    try {
      const handle = openSync(draft, 'wx')
      if (!isWatching) process.on('exit', removeAll)
      isWatching = true
      open.add(draft)
      return { draft, handle }
    } catch (error) {
      if (codeOf(error) !== 'EEXIST' || number === TRIES) throw error
    }
  }
}

function removeAll(): void {
  for (const draft of open) rmSync(draft, { force: true })
}

/** What a process that was killed left behind of the same file. */
function removeStale(folder: string, start: string): void {
  try {
    for (const name of readdirSync(folder)) {
      const pid = name.startsWith(start) ? /^(\d+)(?:-\d+)?\.part$/.exec(name.slice(start.length))?.[1] : undefined
      if (pid === undefined || isAlive(Number(pid))) continue
      const path = join(folder, name)
      const stat = lstatSync(path)
      if (stat.isFile() && Date.now() - stat.mtimeMs > STALE) rmSync(path)
    }
  } catch {
    // A folder that cannot be listed can still be written to.
  }
}

/** Whether a process may still be at what bears its number. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return codeOf(error) !== 'ESRCH'
  }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined
}

function writeAll(handle: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.byteLength; ) at += writeSync(handle, bytes, at)
}

/** @throws UpstreamError with what the system says, in a line; any other error is what it was */
export function orSay<T>(called: string, work: () => T, verb: 'write' | 'read' = 'write'): T {
  try {
    return work()
  } catch (error) {
    if (!(error instanceof Error) || !('syscall' in error)) throw error
    throw new UpstreamError('failed', `cannot ${verb} ${called}: ${reasonOf(error)}`, { cause: error })
  }
}

/** `ENOSPC: no space left on device, write` → `no space left on device` */
export function reasonOf(error: Error): string {
  return error.message.replace(/^[A-Z]+: /, '').replace(/, \w+( '.*)?$/, '')
}
