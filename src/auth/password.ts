import { timingSafeEqual } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { UnavailableError } from './authenticator.ts'
import { createPasswordThreads, type VerifyPassword } from './password-threads.ts'

/** bcrypt, as `htpasswd -B` ($2y$), Go ($2a$) and Bun ($2b$) write it. */
const BCRYPT = /^\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}$/
const ARGON2 = /^\$argon2(?:id|i|d)\$/
/** bcrypt looks at no more than this. Go cuts the input there; Bun would hash a longer one first, and so disagree. */
const BCRYPT_MAX_BYTES = 72
/** The hash of no password: it takes as long to refuse as a user's own. */
const DECOY = '$2b$10$QA8uaCqrK7745W2CV20wKuE1oDDbXp9nrk7.erSg9Fc3d1O.G0rl.'

export type HashKind = 'bcrypt' | 'argon2'

/** Which kind of password hash that is; undefined for everything else (MD5, SHA-1, crypt, plain text). */
export function hashKind(hash: string): HashKind | undefined {
  if (BCRYPT.test(hash)) return 'bcrypt'
  return ARGON2.test(hash) ? 'argon2' : undefined
}

/** `Known.stamp` of a password's hash: it names the hash without showing it. */
export function stampOf(hash: string | undefined): string {
  return new Bun.CryptoHasher('sha256')
    .update(hash ?? '')
    .digest('base64url')
    .slice(0, 22)
}

/** A hash to store: bcrypt, which every tool that reads htpasswd files can check. At most 72 bytes count. */
export async function hashPassword(password: string, cost = 10): Promise<string> {
  return await Bun.password.hash(whatCounts(password), { algorithm: 'bcrypt', cost })
}

/** Whether a password is that of a bcrypt hash, checked in this thread; any other kind of hash is nobody's. */
export async function isPasswordOf(password: string, hash: string): Promise<boolean> {
  return hashKind(hash) === 'bcrypt' && (await Bun.password.verify(whatCounts(password), hash))
}

/** Whether bcrypt would pass over the end of a password. */
export function isCut(password: string): boolean {
  return Buffer.byteLength(password) > BCRYPT_MAX_BYTES
}

function whatCounts(password: string): Uint8Array {
  return new TextEncoder().encode(password).subarray(0, BCRYPT_MAX_BYTES)
}

export interface PasswordOptions {
  /** Milliseconds since the epoch. */
  now: () => number
  /** How long a success is remembered, in milliseconds; 0 remembers none. Default 5 minutes. */
  rememberMs?: number
  /** Remembered accounts at most. Default 10,000. */
  rememberMax?: number
  /** Verifications at once, each on a thread of its own. Default 2, as many as there are threads. */
  concurrency?: number
  /** Verifications that may wait for a thread. Default 256. */
  queueLimit?: number
  /** The slow comparison; a test counts with it. Default: on the process's threads for it. */
  verify?: VerifyPassword
}

/** Threads of the process that check passwords. */
const THREADS = 2
const verifyOnThread = createPasswordThreads(THREADS)

export interface PasswordCheck {
  /** Name space of the account: the same name in two sources are two accounts. */
  source: string
  account: string
  password: string
  /** The account's hash as it is now. Undefined or of an unknown kind: no password is right. */
  hash: string | undefined
}

export interface Passwords {
  /**
   * Whether the password is right. As slow for "no" as for an unknown account.
   * @throws UnavailableError when too many verifications wait already.
   */
  check(check: PasswordCheck): Promise<boolean>
  /** Whether that password was right for an account of that name a moment ago, in whatever source; costs next to nothing. */
  isRemembered(account: string, password: string): boolean
  /** A MAC of a text that holds a password, under a key that never leaves the process; another one after `forget`. */
  fingerprint(text: string): string
  /** Takes the time of a verification, for an account that does not exist. @throws as `check`. */
  spend(password: string): Promise<void>
  /** Forgets every success: what `check` said before holds no more. */
  forget(): void
  /** What was wrong may be right now (an account was made, or enabled): fingerprints change. */
  reconsider(): void
}

interface Success {
  hash: string
  generation: number
  mac: Uint8Array
  until: number
}

/**
 * Password verification with three guards: few at once, a bounded queue, and a short memory of successes, so that a
 * client which asks at each request pays bcrypt once. A success is remembered under the hash that it was checked
 * against, so a changed or removed user is refused at once, whoever changed it; the memory holds a keyed MAC of the
 * password, whose key never leaves the process.
 */
export function createPasswords(options: PasswordOptions): Passwords {
  const { now, rememberMs = 300_000, rememberMax = 10_000, concurrency = THREADS, queueLimit = 256 } = options
  const verify = options.verify ?? verifyOnThread
  const encoder = new TextEncoder()
  const key = crypto.getRandomValues(new Uint8Array(32))
  const successes = new LRUCache<string, Success>({ max: rememberMax })
  /** The last success of an account's name, in whatever source. */
  const recent = new LRUCache<string, Pick<Success, 'generation' | 'mac' | 'until'>>({ max: rememberMax })
  /** Equal questions that are being answered share one verification. */
  const running = new Map<string, Promise<boolean>>()
  const waiting: (() => void)[] = []
  let active = 0
  let generation = 0
  let reconsidered = 0
  /** Accounts that do not exist cost what the last one that does has cost. */
  let decoy = DECOY

  async function slow(password: Uint8Array, hash: string): Promise<boolean> {
    if (active >= concurrency) {
      if (waiting.length >= queueLimit) throw new UnavailableError('too many password verifications are waiting')
      await new Promise<void>((resolve) => waiting.push(resolve))
    } else active++
    try {
      return await verify(hashKind(hash) === 'bcrypt' ? password.subarray(0, BCRYPT_MAX_BYTES) : password, hash)
    } catch (error) {
      if (error instanceof UnavailableError) throw error
      // What the verifier cannot read (a cost out of range, a damaged digest) is the hash of no password.
      return false
    } finally {
      const next = waiting.shift()
      // The slot goes to the one that waited longest, so `active` stays.
      if (next === undefined) active--
      else next()
    }
  }

  function macOf(password: Uint8Array): Buffer {
    return new Bun.CryptoHasher('sha256', key).update(password).digest()
  }

  async function spend(password: string): Promise<void> {
    // An empty password is never right and costs nothing, for known and unknown accounts alike.
    if (password !== '') await slow(encoder.encode(password), decoy)
  }

  /** After the clock was set back, nothing is remembered for longer than it may be. */
  function isFresh({ until }: Pick<Success, 'until'>): boolean {
    const left = until - now()
    return left > 0 && left <= rememberMs
  }

  async function check({ source, account, password, hash }: PasswordCheck): Promise<boolean> {
    if (password === '') return false
    if (hash === undefined || hashKind(hash) === undefined) {
      await spend(password)
      return false
    }
    const bytes = encoder.encode(password)
    const mac = macOf(bytes)
    const id = `${source}\n${account}`
    const known = successes.get(id)
    if (known !== undefined && known.generation === generation && known.hash === hash && isFresh(known)) {
      if (timingSafeEqual(known.mac, mac)) return true
    }
    const question = `${id}\n${generation}\n${hash}\n${mac.toString('base64')}`
    const same = running.get(question)
    if (same !== undefined) return await same
    const asked = generation
    const answer = slow(bytes, hash)
    running.set(question, answer)
    try {
      const right = await answer
      decoy = hash
      if (right && rememberMs > 0) {
        const success = { hash, generation: asked, mac, until: now() + rememberMs }
        successes.set(id, success)
        recent.set(account, success)
      }
      return right
    } finally {
      running.delete(question)
    }
  }

  return {
    check,
    spend,
    isRemembered(account, password) {
      const known = recent.get(account)
      if (known === undefined || known.generation !== generation || !isFresh(known)) return false
      return timingSafeEqual(known.mac, macOf(encoder.encode(password)))
    },
    fingerprint: (text) => macOf(encoder.encode(`${generation}.${reconsidered}\n${text}`)).toString('base64url'),
    reconsider() {
      reconsidered++
    },
    forget() {
      generation++
      successes.clear()
      recent.clear()
    },
  }
}
