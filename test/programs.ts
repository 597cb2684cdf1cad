import { describe, test } from 'bun:test'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

/** The real programs that tests use, each with the Debian package that brings it. */
export const PACKAGES = {
  buildah: 'buildah',
  busybox: 'busybox-static',
  curl: 'curl',
  docker: 'docker.io',
  'docker-compose': 'docker-compose',
  'docker-credential-pass': 'golang-docker-credential-helpers',
  'docker-registry': 'docker-registry',
  dockerd: 'docker.io',
  gpg: 'gnupg',
  fish: 'fish',
  htpasswd: 'apache2-utils',
  jq: 'jq',
  mariadbd: 'mariadb-server',
  'mkfs.ext4': 'e2fsprogs',
  openssl: 'openssl',
  pass: 'pass',
  pebble: 'pebble',
  'pebble-challtestsrv': 'pebble',
  podman: 'podman',
  postgres: 'postgresql',
  'qemu-aarch64-static': 'qemu-user-static libc6-arm64-cross libgcc-s1-arm64-cross libstdc++6-arm64-cross',
  skopeo: 'skopeo',
  slapd: 'slapd',
  strace: 'strace',
  'systemd-analyze': 'systemd',
  wrk: 'wrk',
  zsh: 'zsh',
} as const

export type ProgramName = keyof typeof PACKAGES

/** Daemons live in sbin, which a user's PATH may lack. */
const FOLDERS = [...(process.env.PATH ?? '').split(delimiter), '/usr/local/sbin', '/usr/sbin', '/sbin']

/** Absolute path of an installed program; undefined when there is none. */
export function findProgram(name: string): string | undefined {
  return FOLDERS.filter((folder) => folder !== '')
    .map((folder) => join(folder, name))
    .find(isExecutable)
}

/**
 * Absolute path of a program that a test cannot do without.
 * @throws Error that names the Debian package to install.
 */
export function program(name: string, aptPackage: string = packageOf(name)): string {
  const path = findProgram(name)
  if (path === undefined) throw new Error(`${name} is not installed: apt-get install ${aptPackage}`)
  return path
}

/**
 * A `describe` whose tests need real programs. Where one is missing they are reported as skipped, under a title that says
 * what to install (`test/run.ts` lists it at the end); with BERTH_TEST_CLIENTS=required that is a failing test instead.
 */
export function describeWith(programs: readonly ProgramName[], title: string, body: () => void): void {
  const missing = programs.filter((name) => findProgram(name) === undefined)
  const needsRoot = programs.includes('dockerd') && process.getuid?.() !== 0
  if (missing.length === 0 && !needsRoot) {
    describe(title, body)
    return
  }
  const remedy =
    missing.length === 0
      ? 'needs root for dockerd'
      : `needs ${missing.join(', ')}: apt-get install ${[...new Set(missing.map((name) => PACKAGES[name]))].join(' ')}`
  if (process.env.BERTH_TEST_CLIENTS === 'required') {
    test(title, () => {
      throw new Error(`BERTH_TEST_CLIENTS=required, but this ${remedy}`)
    })
  } else {
    describe.skip(`${title} [${remedy}]`, body)
  }
}

export interface RunOptions {
  cwd?: string
  /** Added to a clean environment (see `cleanEnvironment`). */
  env?: Record<string, string>
  stdin?: string | Uint8Array
  /** Milliseconds before the program is killed, which hangs then; 150 s unless told. */
  timeoutMs?: number
}

export interface Ended {
  code: number
  stdout: string
  stderr: string
}

/**
 * Runs a program to its end. A code other than 0 is a result, not an error.
 * @throws Error when the time runs out.
 */
export async function run(command: readonly string[], options: RunOptions = {}): Promise<Ended> {
  const { cwd, env = {}, stdin, timeoutMs = 150_000 } = options
  const child = Bun.spawn([...command], {
    ...(cwd === undefined ? {} : { cwd }),
    env: cleanEnvironment(env),
    stdin: stdin === undefined ? 'ignore' : typeof stdin === 'string' ? new TextEncoder().encode(stdin) : stdin,
    stdout: 'pipe',
    stderr: 'pipe',
    timeout: timeoutMs,
    killSignal: 'SIGKILL',
  })
  const [code, stdout, stderr] = await Promise.all([child.exited, child.stdout.text(), child.stderr.text()])
  if (child.signalCode === 'SIGKILL') {
    throw new Error(`killed after ${timeoutMs} ms: ${command.join(' ')}\n${stdout}${stderr}`)
  }
  return { code, stdout, stderr }
}

/** As `run`, for a program that must succeed; answers its stdout. */
export async function must(command: readonly string[], options: RunOptions = {}): Promise<string> {
  const { code, stdout, stderr } = await run(command, options)
  if (code !== 0) throw new Error(`exit ${code}: ${command.join(' ')}\n${stdout}${stderr}`)
  return stdout
}

/** Runs a script in bash, as a reader of a document would. */
export async function shell(script: string, options: RunOptions = {}): Promise<Ended> {
  return await run(['bash', '-c', script], options)
}

/**
 * The environment for a program under test: what finds programs and temporary folders, and nothing that may change what
 * is tested (proxies, REGISTRY_*, BERTH_*, a Docker host or context, credentials of the user who runs the tests).
 */
export function cleanEnvironment(extra: Record<string, string> = {}): Record<string, string> {
  const kept = ['PATH', 'HOME', 'TMPDIR', 'LANG', 'USER', 'LOGNAME']
  const base = Object.fromEntries(kept.flatMap((name) => entryOf(name)))
  return { ...base, PATH: FOLDERS.join(delimiter), ...extra }
}

function entryOf(name: string): [string, string][] {
  const value = process.env[name]
  return value === undefined ? [] : [[name, value]]
}

function packageOf(name: string): string {
  return name in PACKAGES ? PACKAGES[name as ProgramName] : name
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
