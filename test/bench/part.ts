import { must } from '../programs.ts'
import type { Target } from './connection.ts'
import type { Credentials } from './credentials.ts'
import type { Figures } from './figures.ts'
import { runLoad } from './generator.ts'
import { type Server, type ServerName, type Start, startServer } from './servers.ts'
import type { Access } from './settings.ts'
import type { Medium, Workplace } from './workplace.ts'

/** What a part of the benchmark works with. */
export interface Bench {
  workplace: Workplace
  credentials: Credentials
  figures: Figures
  servers: readonly ServerName[]
  rounds: number
  quick: boolean
  /** Called before each turn of a server. */
  prepareMemory(): void
  /** Says on stderr what is going on. */
  progress(text: string): void
  /** Remembers that `what` could not be measured, and why; what comes after it still is. */
  fail(what: string, cause: unknown): void
}

/** Adds its figures to `bench.figures`. @throws Error when a server fails or gives a wrong answer. */
export type Part = (bench: Bench) => Promise<void>

export interface Condition {
  medium: Medium
  access: Access
}

export const REPOSITORY = 'bench/image'
export const GIBIBYTE = 1024 ** 3

export function describeCondition({ medium, access }: Condition): string {
  return access === 'plain' ? medium : `${medium}, ${access === 'tls' ? 'TLS' : 'token auth'}`
}

/** Conditions that this machine has room for, and a quick run time: it stays on the disk. */
export function possible<T extends Condition>(bench: Bench, conditions: readonly T[]): T[] {
  const media = bench.quick ? ['disk'] : bench.workplace.media
  return conditions.filter(({ medium }) => media.includes(medium))
}

/**
 * Gives `body` a fresh server in turn, round after round (A B A B), and clears away after each. A server that fails is
 * left out of the further rounds.
 */
export async function alternate(
  bench: Bench,
  condition: Condition,
  body: (server: Server, target: Target) => Promise<void>,
): Promise<void> {
  const failed = new Set<ServerName>()
  for (let round = 1; round <= bench.rounds; round++) {
    for (const name of bench.servers) {
      if (failed.has(name)) continue
      bench.progress(`${describeCondition(condition)}: round ${round} of ${bench.rounds}, ${name}`)
      try {
        bench.prepareMemory()
        await withServer(bench, { name, ...condition }, async (server) => {
          await body(server, await targetOf(bench, server, condition.access))
        })
      } catch (cause) {
        failed.add(name)
        bench.fail(`${describeCondition(condition)}, ${name}`, cause)
      }
    }
  }
}

/** Starts a server for the time of `body`. */
export async function withServer(bench: Bench, start: Start, body: (server: Server) => Promise<void>): Promise<void> {
  const server = await startServer(bench.workplace, bench.credentials, start)
  try {
    await body(server)
  } finally {
    await server.stop()
  }
}

export async function targetOf(bench: Bench, server: Server, access: Access): Promise<Target> {
  if (access !== 'token') return server.target
  return { ...server.target, authorization: await bench.credentials.bearer(REPOSITORY) }
}

/** Pushes one image of `blobMebibytes`; answers the digest of its blob. Its tag is `small-0-0`. */
export async function pushOne(bench: Bench, target: Target, blobMebibytes: number): Promise<string> {
  const { digests } = await runLoad(bench.workplace, {
    ...{ kind: 'push', target, connections: 1, repository: REPOSITORY, label: 'small', blobMebibytes, each: 1 },
  })
  const [digest] = digests
  if (digest === undefined) throw new Error('nothing was pushed')
  return digest
}

export const SMALL_MANIFEST = `/v2/${REPOSITORY}/manifests/small-0-0`

export function blobPath(digest: string): string {
  return `/v2/${REPOSITORY}/blobs/${digest}`
}

/** Writes what is still in the page cache, so that one server's leftovers do not slow the next one's fsync. */
export async function settle(server: Server): Promise<void> {
  await must(['sync', '-f', server.folder])
}
