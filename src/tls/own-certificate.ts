import type { X509Certificate } from 'node:crypto'
import { basename, dirname } from 'node:path'
import { writeDurably } from '../files/durable.ts'
import { type Authority, openAuthority } from './authority.ts'
import { canonical, type Machine, namesOfMachine } from './machine.ts'
import type { ManagedCertificate } from './managed.ts'
import { beginOf, endOf, isDue, namesOf, type PairFile, readPairFile } from './pair-file.ts'

const YEAR = 365 * 86_400_000

export interface OwnCertificate extends ManagedCertificate {
  authority: X509Certificate
  /** To be told to the operator; undefined: nothing. */
  warning(): string | undefined
}

/**
 * The server's certificate by Berth's own authority (`ca.key` and `ca.crt` beside `file`), with every name of the machine
 * and those given. It is due when a third of its life is left, or when it lacks a name: a new address of an interface counts
 * within the time between two calls. A name that goes away stays until the next one.
 * @throws Error with a text for the operator when a file is damaged or cannot be written.
 */
export async function openOwnCertificate(options: {
  file: string
  names: readonly string[]
  machine: Machine
  now: () => number
}): Promise<OwnCertificate> {
  const { file, names, machine, now } = options
  const directory = dirname(file)
  const authority = await openAuthority(directory, now())
  // A damaged one is made anew: nothing is lost with it.
  let current = await readPairFile(file).catch(() => undefined)

  const wanted = () => [...new Set([...names.map(canonical), ...namesOfMachine(machine)])]

  return {
    file,
    isReady: () => current !== undefined,
    authority: authority.certificate,
    async tend({ force }) {
      const needed = wanted()
      if (!force && current !== undefined && isUsable(current, authority, needed, now())) return false
      const pem = await authority.issue(needed, now())
      await writeDurably(directory, basename(file), pem, 0o600)
      current = await readPairFile(file)
      return true
    },
    warning() {
      const left = endOf(authority.certificate) - now()
      if (left > YEAR) return undefined
      const end = authority.certificate.validToDate.toISOString().slice(0, 10)
      return `Berth's own certificate authority ends on ${end}; berth cert renew --authority makes a new one, which every client must trust anew`
    },
  }
}

function isUsable({ leaf }: PairFile, authority: Authority, needed: readonly string[], now: number): boolean {
  if (isDue(leaf, now) || !leaf.verify(authority.certificate.publicKey)) return false
  // The clock was ahead when it was made: until then clients refuse it. The authority's own first day cannot be helped.
  if (now < beginOf(leaf) && beginOf(authority.certificate) < beginOf(leaf)) return false
  const has = new Set(namesOf(leaf))
  return needed.every((name) => has.has(name))
}
