import { mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'

/** Who a server that root started in a container goes on as. */
export interface Account {
  uid: number
  gid: number
  /** Groups that the container was given besides. */
  groups: readonly number[]
}

/** What a server needs of its file system and network. */
export interface Needs {
  /** Data directories, the first of which decides whose the server is. */
  directories: readonly string[]
  /** Files that it reads, whether they are there or not. */
  reads: readonly string[]
  /** Files that it makes outside of its directories. */
  writes: readonly string[]
  ports: readonly number[]
}

/** What is printed for setpriv(1), and for people. */
export interface Descent {
  /** Empty: the server stays root. */
  options: string[]
  notes: string[]
}

/** The account of the image, without a right anywhere but in what it is given. */
export const IMAGE_ACCOUNT = 65532

/** Bits of capabilities(7). */
const CAPABILITIES = {
  dac_override: 1,
  dac_read_search: 2,
  setgid: 6,
  setuid: 7,
  setpcap: 8,
  net_bind_service: 10,
} as const
type Capability = keyof typeof CAPABILITIES

/**
 * How root becomes an account without privileges that can still do what the server needs: the owner of the data directory, and
 * the image's account where that is root, which then gives it what it has there. A file that only root may read keeps the one
 * capability for that, so that certificates that are renewed can be read, too. Nothing but data directories is changed.
 */
export function descend(needs: Needs, proc = '/proc'): Descent {
  const notes: string[] = []
  const held = heldCapabilities(proc)
  if (!held('setuid') || !held('setgid')) {
    const remedy = `start the container with --user ${IMAGE_ACCOUNT}, or leave it SETUID and SETGID`
    return { options: [], notes: [`the server stays root, because its container may not change that; ${remedy}`] }
  }
  const account = accountOf(needs.directories[0])
  for (const directory of needs.directories) {
    const fault = give(resolve(directory), account)
    if (fault === undefined) continue
    const remedy = `chown -R ${account.uid}:${account.gid} it where it is kept`
    return {
      options: [],
      notes: [`the server stays root, because ${directory} cannot be given away: ${fault}; ${remedy}`],
    }
  }
  const kept: Capability[] = []
  if (needs.ports.some((port) => port > 0 && port < firstFreePort(proc)) && held('net_bind_service')) {
    kept.push('net_bind_service')
  }
  const closed = closedFiles(needs, optionsOf(account, [], held))
  if (closed.length > 0) {
    const reader =
      closed.every(({ mode }) => mode === 'r') && held('dac_read_search') ? 'dac_read_search' : 'dac_override'
    const named = closed.map(({ path }) => path).join(', ')
    const what = `user ${account.uid}, as which the server runs, may not open ${named}`
    if (held(reader)) {
      kept.push(reader)
      notes.push(
        `${what}; it keeps the capability ${reader.toUpperCase()} for that, until they are that user's (chown)`,
      )
    } else notes.push(`${what}; make them that user's (chown)`)
  }
  return { options: optionsOf(account, kept, held), notes }
}

type Held = (name: Capability) => boolean

function optionsOf({ uid, gid, groups }: Account, kept: readonly Capability[], held: Held): string[] {
  const set = ['-all', ...kept.map((name) => `+${name}`)].join(',')
  return [
    `--reuid=${uid}`,
    `--regid=${gid}`,
    groups.length === 0 ? '--clear-groups' : `--groups=${groups.join(',')}`,
    '--no-new-privs',
    ...[`--inh-caps=${set}`, `--ambient-caps=${set}`],
    // Nothing can be gained in any case; without that capability it cannot be sealed besides.
    ...(held('setpcap') ? [`--bounding-set=${set}`] : []),
  ]
}

function accountOf(directory: string | undefined): Account {
  const groups = (process.getgroups?.() ?? []).filter((group) => group !== 0)
  const found = directory === undefined ? undefined : statSync(directory, { throwIfNoEntry: false })
  const uid = found?.uid || IMAGE_ACCOUNT
  // A group of root's would open what is closed to the user.
  return { uid, gid: (uid === found?.uid ? found.gid : 0) || uid, groups }
}

/** Folders of a system, which no configuration means as its data directory. */
const OF_SYSTEM = /^\/(bin|boot|dev|etc|home|lib\w*|opt|proc|root|run|sbin|sys|tmp|usr|var)?$/

/** Gives what is root's in a data directory to the account; answers what went wrong. */
function give(directory: string, { uid, gid }: Account): string | undefined {
  // Left to the server, which says that it may not write there.
  if (OF_SYSTEM.test(directory)) return undefined
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    if (!isPartlyRoots(directory)) return undefined
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
  // It follows no link, and comes to a folder after what is in it: whoever interrupts it finds it begun again.
  const { exitCode, stderr } = Bun.spawnSync(['chown', '-Rh', '--from=0', `${uid}:${gid}`, '--', directory])
  return exitCode === 0 ? undefined : (stderr.toString().trim().split('\n')[0] ?? '')
}

/** Root's are a directory that was never given, and what root wrote into it since: a restored database, an adopted tree. */
function isPartlyRoots(directory: string): boolean {
  const below = (path: string): string[] => {
    const isFolder = statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false
    return isFolder ? namesIn(path).map((name) => join(path, name)) : []
  }
  const looked = [directory, ...below(directory), ...below(join(directory, 'docker/registry/v2'))]
  return looked.some((path) => statSync(path, { throwIfNoEntry: false })?.uid === 0)
}

/** Of a folder that even root may not look into, for want of a capability, nothing is known to be root's. */
function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EACCES') return []
    throw error
  }
}

function isSeen(path: string): boolean {
  try {
    statSync(path)
    return true
  } catch {
    // Not there, or not to be seen: the server says which.
    return false
  }
}

/** What is there, and root may open, but not the account: the kernel is asked, for modes are not all that counts. */
function closedFiles({ reads, writes }: Needs, options: readonly string[]): { mode: 'r' | 'w'; path: string }[] {
  const asked = [
    ...reads.map((path) => ({ mode: 'r' as const, path })),
    ...writes.map((path) => ({ mode: 'w' as const, path: dirname(path) })),
  ].filter(({ path }) => isSeen(path))
  if (asked.length === 0) return []
  const script = 'while [ $# -gt 0 ]; do if test "-$1" "$2"; then echo open; else echo closed; fi; shift 2; done'
  const { exitCode, stdout, stderr } = Bun.spawnSync([
    ...['setpriv', ...options, '--', 'sh', '-c', script, 'sh'],
    ...asked.flatMap(({ mode, path }) => [mode, path]),
  ])
  if (exitCode !== 0) throw new Error(`the server cannot become another user: ${stderr.toString().trim()}`)
  const answers = stdout.toString().split('\n')
  return asked.filter((_, index) => answers[index] === 'closed')
}

function heldCapabilities(proc: string): Held {
  const set = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync(`${proc}/self/status`, 'utf8'))?.[1] ?? '0'}`)
  return (name) => ((set >> BigInt(CAPABILITIES[name])) & 1n) === 1n
}

/** Ports below this one need a capability. */
function firstFreePort(proc: string): number {
  try {
    return Number(readFileSync(`${proc}/sys/net/ipv4/ip_unprivileged_port_start`, 'utf8'))
  } catch {
    return 1024
  }
}
