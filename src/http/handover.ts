import { ptr } from 'bun:ffi'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { openCLibrary } from '../files/c-library.ts'

/** socket(7) and linux/socket.h. */
const SOL_SOCKET = 1
const SO_ATTACH_REUSEPORT_CBPF = 51
/** `ret #1`, a whole program of the classic packet filter: the second socket of the group. */
const RETURN_K = 0x06
const SECOND = 1
const LISTENING = '0A'

/**
 * Of two sockets that listen on the port (SO_REUSEPORT), lets the kernel give all new connections to the one that was opened
 * last. Without it each gets a share, and what waits in the first one's queue is reset when that closes. Resolves to whether
 * the kernel took it; where it did not, nothing has changed.
 */
export function preferLastSocket(port: number): boolean {
  if (process.platform !== 'linux') return false
  try {
    const sockets = listeningSockets(port)
    return sockets.length > 0 && sockets.every(attach)
  } catch {
    return false
  }
}

/** Descriptors of this process. */
function listeningSockets(port: number): number[] {
  const inodes = new Set(['/proc/net/tcp', '/proc/net/tcp6'].flatMap((table) => listeningInodes(table, port)))
  return readdirSync('/proc/self/fd')
    .map(Number)
    .filter((descriptor) => inodes.has(inodeOf(descriptor) ?? ''))
}

function listeningInodes(table: string, port: number): string[] {
  const rows = readFileSync(table, 'latin1').split('\n').slice(1)
  return rows.flatMap((row) => {
    const [, local = '', , state, , , , , , inode = ''] = row.trim().split(/\s+/)
    const isOurs = state === LISTENING && Number.parseInt(local.split(':')[1] ?? '', 16) === port
    return isOurs ? [inode] : []
  })
}

function inodeOf(descriptor: number): string | undefined {
  try {
    return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/self/fd/${descriptor}`))?.[1]
  } catch {
    // Closed meanwhile.
    return undefined
  }
}

let setsockopt: ReturnType<typeof load> | undefined

function load() {
  const library = openCLibrary({ setsockopt: { args: ['i32', 'i32', 'i32', 'ptr', 'u32'], returns: 'i32' } })
  if (library === undefined) throw new Error('there is no C library')
  return library.setsockopt
}

function attach(socket: number): boolean {
  setsockopt ??= load()
  // struct sock_filter { u16 code; u8 jt, jf; u32 k; }
  const filter = new DataView(new ArrayBuffer(8))
  filter.setUint16(0, RETURN_K, true)
  filter.setUint32(4, SECOND, true)
  // struct sock_fprog { u16 len; struct sock_filter *filter; }
  const program = new DataView(new ArrayBuffer(16))
  program.setUint16(0, 1, true)
  program.setBigUint64(8, BigInt(ptr(filter)), true)
  return setsockopt(socket, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, ptr(program), program.byteLength) === 0
}
