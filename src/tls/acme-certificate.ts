import { createHash, createPrivateKey, type X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { type Attempts, nextAttempt, readAttempts, writeAttempts } from '../acme/attempts.ts'
import { openAcme } from '../acme/client.ts'
import { type Challenges, orderCertificate } from '../acme/order.ts'
import { readIfThere, writeDurably } from '../files/durable.ts'
import type { Log } from '../telemetry/log.ts'
import type { ManagedCertificate } from './managed.ts'
import { beginOf, endOf, keyPem, namesOf, newPrivateKey, type PairFile, parsePair, readPairFile } from './pair-file.ts'

/** Go's autocert calls it so: a folder that registry:2 or docker_auth used goes on being used. */
const ACCOUNT_FILE = 'acme_account+key'
/** Beside the certificate, of each its own: two servers may share a folder. */
const ATTEMPTS_FILE = '.berth-attempts.json'

export interface AcmeSettings {
  directoryUrl: string
  /** PEM file of the authority of the ACME server's own certificate. */
  directoryCa: string | undefined
  email: string | undefined
  hosts: readonly [string, ...string[]]
}

/**
 * A certificate by ACME (RFC 8555) for these hosts, kept in `file` in autocert's form. The authority is asked when a third
 * of the certificate's life is left, and where there is none; after a failure not again until `attempts.ts` allows it.
 */
export async function openAcmeCertificate(options: {
  file: string
  settings: AcmeSettings
  challenges: Challenges
  log: Log
  now: () => number
  random?: () => number
}): Promise<ManagedCertificate> {
  const { file, settings, challenges, log, now, random = Math.random } = options
  const { hosts, directoryUrl } = settings
  const folder = dirname(file)
  await mkdir(folder, { recursive: true, mode: 0o700 })
  // A damaged one is as good as none: the next takes its place.
  let current = await readPairFile(file).catch(() => undefined)
  const attemptsPath = `${file}${ATTEMPTS_FILE}`
  const subject = `${directoryUrl} ${hosts.join(' ')}`
  let attempts = await readAttempts(attemptsPath, subject)

  async function order(signal: AbortSignal): Promise<PairFile> {
    const accountKey = await readAccountKey(folder)
    const authority = settings.directoryCa === undefined ? undefined : readFileSync(settings.directoryCa, 'utf8')
    const client = await openAcme({ directoryUrl, accountKey, email: settings.email, authority, signal, now })
    const privateKey = await newPrivateKey()
    const chain = await orderCertificate({ client, accountKey, privateKey, hosts, challenges, sleep: sleeper(signal) })
    const pem = keyPem(privateKey) + chain
    const pair = parsePair(pem)
    if (!covers(pair.leaf, hosts)) throw new Error(`the certificate that came is not for ${hosts.join(', ')}`)
    await writeDurably(folder, basename(file), pem, 0o600)
    return pair
  }

  async function failed(error: unknown): Promise<Attempts> {
    const next = nextAttempt(attempts, error, now(), random())
    // Where it cannot be kept, it counts in memory; the reason that matters is the first.
    await writeAttempts(attemptsPath, subject, next).catch(() => undefined)
    return next
  }

  return {
    file,
    isReady: () => current !== undefined,
    async tend({ force, signal }) {
      if (!force && current !== undefined && isGood(current.leaf, hosts, now())) return false
      if (!force && attempts !== undefined && now() < attempts.notBefore) return false
      log.info('a certificate is asked for', { hosts: hosts.join(','), directory: directoryUrl })
      try {
        current = await order(signal)
      } catch (error) {
        if (signal.aborted) throw error
        attempts = await failed(error)
        const reason = error instanceof Error ? error.message : String(error)
        const when = new Date(attempts.notBefore).toISOString()
        throw new Error(`${hosts.join(', ')} from ${directoryUrl}: ${reason}. The next attempt is at ${when}`, {
          cause: error,
        })
      }
      if (attempts !== undefined) {
        attempts = undefined
        await rm(attemptsPath, { force: true })
      }
      log.info('a certificate came', { hosts: hosts.join(','), until: new Date(endOf(current.leaf)).toISOString() })
      return true
    },
  }
}

async function readAccountKey(folder: string) {
  const path = join(folder, ACCOUNT_FILE)
  const text = await readIfThere(path)
  if (text === undefined) {
    const made = await newPrivateKey()
    await writeDurably(folder, ACCOUNT_FILE, keyPem(made), 0o600)
    return made
  }
  const key = parseKey(text)
  if (key?.asymmetricKeyDetails?.namedCurve !== 'prime256v1') {
    throw new Error(`${path} holds no account key of P-256; move it away to begin with a new account`)
  }
  return key
}

function parseKey(pem: string) {
  try {
    return createPrivateKey(pem)
  } catch {
    return undefined
  }
}

function covers(leaf: X509Certificate, hosts: readonly string[]): boolean {
  const names = new Set(namesOf(leaf))
  return hosts.every((host) => names.has(host))
}

/** Until a third of its life is left, and up to a thirtieth earlier: not everybody's on the same day, but always the same. */
function isGood(leaf: X509Certificate, hosts: readonly string[], now: number): boolean {
  const life = endOf(leaf) - beginOf(leaf)
  const share = (createHash('sha256').update(leaf.raw).digest()[0] ?? 0) / 256
  const due = endOf(leaf) - life / 3 - (share * life) / 30
  return covers(leaf, hosts) && now < due
}

function sleeper(signal: AbortSignal): (milliseconds: number) => Promise<void> {
  return (milliseconds) => {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const end = () => {
      clearTimeout(timer)
      reject(new Error('the program ends'))
    }
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', end)
      resolve()
    }, milliseconds)
    if (signal.aborted) end()
    else signal.addEventListener('abort', end, { once: true })
    return promise
  }
}
