import { dirname } from 'node:path'
import type { Challenges } from './acme/order.ts'
import type { TlsConfig } from './config/config.ts'
import { lockDirectory } from './metadata/owner-lock.ts'
import type { Log } from './telemetry/log.ts'
import { openAcmeCertificate } from './tls/acme-certificate.ts'
import { makeAuthority } from './tls/authority.ts'
import { thisMachine } from './tls/machine.ts'
import type { ManagedCertificate } from './tls/managed.ts'
import { type OwnCertificate, openOwnCertificate } from './tls/own-certificate.ts'
import { namesOf, readPairFile } from './tls/pair-file.ts'
import { writePlaceholder } from './tls/placeholder.ts'

export type Managed = {
  certificate: ManagedCertificate
  placeholder: string | undefined
  own: OwnCertificate | undefined
}

/**
 * The certificate that a configuration leaves to Berth, ready to listen with: its own, or (where an authority must be asked)
 * the one of last time, else a placeholder. @throws Error with a text for the operator
 */
export async function openManaged(
  tls: TlsConfig & { managed: NonNullable<TlsConfig['managed']> },
  deps: { challenges: Challenges; log: Log; now: () => number },
): Promise<Managed> {
  const { managed, certificate: file } = tls
  if (managed.kind === 'auto') {
    const own = await openOwnCertificate({ file, names: managed.names, machine: thisMachine, now: deps.now })
    await own.tend({ force: false, signal: new AbortController().signal })
    return { certificate: own, placeholder: undefined, own }
  }
  const certificate = await openAcmeCertificate({ file, settings: managed, ...deps })
  const path = `${file}.berth-placeholder.pem`
  await writePlaceholder(path, deps.now())
  return { certificate, placeholder: path, own: undefined }
}

/**
 * Makes the certificate of Berth's own authority anew (and the authority, if asked) where no server runs.
 * @throws Error with a text for the user, also when a process has the data directory.
 */
export async function renewOwn(
  directory: string,
  file: string,
  options: { authority: boolean; now: () => number },
): Promise<void> {
  const lock = lockDirectory(directory)
  if (lock === undefined) throw new Error(`the data directory ${directory} is in use by a server: stop it first`)
  try {
    if (options.authority) await makeAuthority(dirname(file), options.now())
    // Names that a flag of `serve` added are known from it alone.
    const before = await readPairFile(file).catch(() => undefined)
    const names = before === undefined ? [] : namesOf(before.leaf)
    const own = await openOwnCertificate({ file, names, machine: thisMachine, now: options.now })
    await own.tend({ force: true, signal: new AbortController().signal })
  } finally {
    lock.release()
  }
}
