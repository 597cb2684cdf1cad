import { ptr } from 'bun:ffi'
import { accessSync, closeSync, constants, fstatSync, lstatSync, openSync, readSync, statSync } from 'node:fs'
import type { Algorithm } from '../oci/digest.ts'
import { giveWay } from '../threads/give-way.ts'
import { errnoOf } from './fault.ts'
import type { Examined } from './storage.ts'
import type { ScanRequest, WriteResult } from './write-protocol.ts'

/** Bytes of a portion. */
const PORTION = 1024 * 1024
/** What O_DIRECT asks of addresses, places and lengths; no disk asks for more. */
const ALIGNMENT = 4096
/** A pipe that somebody put in the place of a file would keep a plain open waiting for a writer, for ever. */
const READ = constants.O_RDONLY | constants.O_NONBLOCK

interface Scan {
  fd: number
  isDirect: boolean
  hash: Bun.CryptoHasher
  algorithm: Algorithm
  position: number
}

/**
 * Reads files from beginning to end, a portion at each call, and hashes them. Several may be under way.
 *
 * O_DIRECT where the file system has it: what is read is what the disk has, and the memory of the system stays with the files that clients ask for.
 */
export function createScans(): { next(request: ScanRequest): WriteResult; end(id: number): void } {
  const scans = new Map<number, Scan>()
  let buffer: Uint8Array | undefined

  function end(id: number): void {
    const scan = scans.get(id)
    if (scan === undefined) return
    scans.delete(id)
    closeSync(scan.fd)
  }

  /** Undefined where no file is, as `examine` has it: a folder, a pipe, a device. */
  function begin({ path, algorithm }: ScanRequest): Scan | undefined {
    const { fd, isDirect } = openDirect(path)
    if (!fstatSync(fd).isFile()) {
      closeSync(fd)
      return undefined
    }
    return { fd, isDirect, hash: new Bun.CryptoHasher(algorithm), algorithm, position: 0 }
  }

  function read(scan: Scan, path: string): Uint8Array {
    buffer ??= alignedBuffer()
    for (;;) {
      let count: number
      try {
        count = readSync(scan.fd, buffer, 0, PORTION, scan.position)
      } catch (error) {
        // Some file systems open with O_DIRECT and refuse to read, and none reads on from the middle of a block.
        if (!scan.isDirect || errnoOf(error) !== 'EINVAL') throw error
        closeSync(scan.fd)
        scan.fd = openSync(path, READ)
        scan.isDirect = false
        continue
      }
      return buffer.subarray(0, count)
    }
  }

  function next(request: ScanRequest): WriteResult {
    const { id, path } = request
    try {
      let scan = scans.get(id)
      if (scan === undefined) {
        scan = begin(request)
        if (scan === undefined) return { found: false }
        scans.set(id, scan)
        if (scans.size === 1) giveWay('last')
      }
      const bytes = read(scan, path)
      scan.hash.update(bytes)
      scan.position += bytes.byteLength
      const isEnd = bytes.byteLength === 0 || scan.position >= fstatSync(scan.fd).size
      if (!isEnd) return { read: bytes.byteLength }
      const digest = `${scan.algorithm}:${scan.hash.digest('hex')}` as const
      end(id)
      return { read: bytes.byteLength, digest }
    } catch (error) {
      end(id)
      const code = errnoOf(error)
      if (code === 'ENOENT' || code === 'ENOTDIR') return { found: false }
      if (code === undefined) throw error
      return { unreadable: { code, message: error instanceof Error ? error.message : code } }
    }
  }

  return { next, end }
}

export function examine(path: string): Examined | undefined {
  try {
    const isLink = lstatSync(path).isSymbolicLink()
    const entry = statSync(path)
    return entry.isFile() ? { size: entry.size, isLink, isReadable: isReadable(path) } : undefined
  } catch (error) {
    const code = errnoOf(error)
    // ELOOP: a link that leads to itself.
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'ELOOP') return undefined
    if (code === 'EACCES' || code === 'EPERM') return { size: 0, isLink: false, isReadable: false }
    throw error
  }
}

function isReadable(path: string): boolean {
  try {
    accessSync(path, constants.R_OK)
    return true
  } catch {
    return false
  }
}

function openDirect(path: string): { fd: number; isDirect: boolean } {
  try {
    return { fd: openSync(path, READ | constants.O_DIRECT), isDirect: true }
  } catch (error) {
    if (errnoOf(error) !== 'EINVAL') throw error
    return { fd: openSync(path, READ), isDirect: false }
  }
}

function alignedBuffer(): Uint8Array {
  const whole = new Uint8Array(PORTION + ALIGNMENT)
  const over = ptr(whole) % ALIGNMENT
  return whole.subarray(over === 0 ? 0 : ALIGNMENT - over).subarray(0, PORTION)
}
