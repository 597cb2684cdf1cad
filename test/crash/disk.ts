import { linkSync, mkdirSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { descriptorOf, type Moment, numbersAtEnd, type SystemCall, stringsOf } from './trace.ts'

/** A change of a file's bytes, or of a directory's entries. */
type Change =
  | { kind: 'write'; offset: number; bytes: Buffer }
  | { kind: 'truncate'; size: number }
  | { kind: 'entry'; name: string; node: Node | undefined }

interface Node {
  kind: 'file' | 'directory'
  /** In the order in which they were made. */
  changes: Change[]
  /** So many of the first changes are on the disk for certain. */
  synced: number
}

/** What a power cut leaves of a change that nobody synced: all, nothing, or the first bytes of it. */
export type Fate = 'kept' | 'lost' | { firstBytes: number }

/**
 * A disk as POSIX promises it: what fsync(2) was not called for may be there after a power cut, or not, in any order.
 * Bytes are safe when their file was synced after the write, names when their directory was.
 */
export interface Disk {
  apply(moment: Moment): void
  /** What a power cut now may lose of a path below the root, one sentence each; none: it is safe, and so is its name. */
  unsafe(path: string): string[]
  /** Writes what a power cut now leaves into `target`, which exists and is empty. */
  write(target: string, fate: () => Fate): void
}

/**
 * The disk below `root` (absolute; empty at first, itself safe), as a trace tells it.
 * `honours` says whether the disk does what an fsync of a path asks for: a disk that lies shows what its lies cost.
 */
export function createDisk(root: string, honours: (path: string) => boolean = () => true): Disk {
  const top: Node = { kind: 'directory', changes: [], synced: 0 }
  /** Open descriptors: with what they were opened for, and where the next plain write goes. */
  const open = new Map<number, { node: Node; position: number }>()
  /** Syncs that have begun: so many changes they cover. */
  const syncing = new Map<SystemCall, { node: Node; covers: number }>()

  const isBelow = (path: string) => path === root || path.startsWith(`${root}/`)

  function find(path: string): Node | undefined {
    if (path === root) return top
    const parent = isBelow(path) ? find(dirname(path)) : undefined
    const entry = parent?.changes.findLast((change) => change.kind === 'entry' && change.name === basename(path))
    return entry?.kind === 'entry' ? entry.node : undefined
  }

  function enter(path: string, node: Node | undefined): void {
    if (!isBelow(path)) return
    const parent = find(dirname(path))
    if (parent === undefined) throw new Error(`no directory for ${path}`)
    parent.changes.push({ kind: 'entry', name: basename(path), node })
  }

  function make(path: string, kind: Node['kind']): Node {
    const node: Node = { kind, changes: [], synced: 0 }
    enter(path, node)
    return node
  }

  function perform(call: SystemCall): void {
    const { name, result } = call
    if (name === 'fsync' || name === 'fdatasync') {
      const sync = syncing.get(call)
      if (sync !== undefined) sync.node.synced = Math.max(sync.node.synced, sync.covers)
    } else if (name === 'openat' || name === 'open') opened(call)
    else if (name.includes('write')) written(call)
    else if (name === 'ftruncate') {
      const node = nodeOf(call)
      const size = numbersAtEnd(call).at(-1)
      if (node !== undefined && size !== undefined) node.changes.push({ kind: 'truncate', size })
    } else if (result === 0) renamed(call)
  }

  function opened({ text, result, resultPath }: SystemCall): void {
    open.delete(result)
    if (!isBelow(resultPath)) return
    const known = find(resultPath)
    const node = known ?? make(resultPath, text.includes('O_DIRECTORY') ? 'directory' : 'file')
    if (known !== undefined && text.includes('O_TRUNC')) node.changes.push({ kind: 'truncate', size: 0 })
    open.set(result, { node, position: text.includes('O_APPEND') ? sizeOf(node) : 0 })
  }

  function nodeOf(call: SystemCall): Node | undefined {
    const descriptor = descriptorOf(call)
    return descriptor !== undefined && isBelow(descriptor.path) ? open.get(descriptor.fd)?.node : undefined
  }

  function written(call: SystemCall): void {
    const descriptor = descriptorOf(call)
    const target = descriptor !== undefined && isBelow(descriptor.path) ? open.get(descriptor.fd) : undefined
    if (target === undefined) return
    const bytes = dataOf(call).subarray(0, call.result)
    const isPositioned = call.name.startsWith('p')
    const offset = isPositioned ? numbersAtEnd(call).at(-1) : target.position
    if (offset === undefined) throw new Error(`no offset: ${call.name} ${call.text.slice(-100)}`)
    target.node.changes.push({ kind: 'write', offset, bytes })
    if (!isPositioned) target.position += bytes.length
  }

  function renamed(call: SystemCall): void {
    const paths = stringsOf(call).map(String)
    const [from = '', to = from] = paths
    if (call.name.startsWith('mkdir')) {
      if (isBelow(from) && from !== root) make(from, 'directory')
    } else if (call.name.startsWith('rename')) {
      const node = find(from)
      if (isBelow(from)) enter(from, undefined)
      enter(to, node)
    } else if (call.name.startsWith('unlink') || call.name === 'rmdir') enter(from, undefined)
    else if (paths.some(isBelow)) throw new Error(`the model does not know ${call.name}`)
  }

  return {
    apply({ moment, call }) {
      if (moment === 'end' && call.result >= 0) perform(call)
      if (moment === 'end' || (call.name !== 'fsync' && call.name !== 'fdatasync')) return
      const node = nodeOf(call)
      const path = descriptorOf(call)?.path
      if (node !== undefined && path !== undefined && honours(path)) {
        syncing.set(call, { node, covers: node.changes.length })
      }
    },

    unsafe(path) {
      const faults: string[] = []
      const node = find(path)
      if (node === undefined) return [`${path} is not there`]
      if (node.kind === 'file' && node.synced < node.changes.length) faults.push(`bytes of ${path} are not synced`)
      for (let entry = path; entry !== root; entry = dirname(entry)) {
        const parent = find(dirname(entry))
        const last = parent?.changes.findLastIndex(
          (change) => change.kind === 'entry' && change.name === basename(entry),
        )
        if (parent === undefined || last === undefined || last >= parent.synced) {
          faults.push(`${dirname(entry)} was not synced since ${basename(entry)} was put there`)
        }
      }
      return faults
    },

    write(target, fate) {
      writeNode(top, target, fate, new Map())
    },
  }
}

function sizeOf(node: Node): number {
  return bytesOf(node, () => 'kept').length
}

/** A trace is replayed more than once, and to read its megabytes of strings takes longest. */
const decoded = new WeakMap<SystemCall, Buffer>()

function dataOf(call: SystemCall): Buffer {
  const known = decoded.get(call)
  if (known !== undefined) return known
  const bytes = Buffer.concat(stringsOf(call))
  decoded.set(call, bytes)
  return bytes
}

function bytesOf({ changes, synced }: Node, fate: () => Fate): Buffer {
  const ends = changes.map((change) =>
    change.kind === 'write' ? change.offset + change.bytes.length : sizeGiven(change),
  )
  const content = Buffer.alloc(Math.max(0, ...ends))
  let size = 0
  changes.forEach((change, index) => {
    const outcome = index < synced ? 'kept' : fate()
    if (outcome === 'lost') return
    if (change.kind === 'truncate') {
      if (change.size < size) content.fill(0, change.size, size)
      size = change.size
    } else if (change.kind === 'write') {
      const bytes = outcome === 'kept' ? change.bytes : change.bytes.subarray(0, outcome.firstBytes)
      bytes.copy(content, change.offset)
      size = Math.max(size, change.offset + bytes.length)
    }
  })
  return content.subarray(0, size)
}

function sizeGiven(change: Change): number {
  return change.kind === 'truncate' ? change.size : 0
}

function writeNode(node: Node, path: string, fate: () => Fate, written: Map<Node, string>): void {
  const entries = new Map<string, Node>()
  node.changes.forEach((change, index) => {
    if (change.kind !== 'entry' || (index >= node.synced && fate() === 'lost')) return
    if (change.node === undefined) entries.delete(change.name)
    else entries.set(change.name, change.node)
  })
  for (const [name, child] of entries) {
    const place = join(path, name)
    const known = written.get(child)
    if (child.kind === 'directory') {
      mkdirSync(place)
      writeNode(child, place, fate, written)
    } else if (known !== undefined) linkSync(known, place)
    else {
      writeFileSync(place, bytesOf(child, fate))
      written.set(child, place)
    }
  }
}
