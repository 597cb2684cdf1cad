import { createHash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { parsePeer } from './ip.ts'

export interface ThrottleOptions {
  /** Milliseconds since the epoch. */
  now: () => number
  /** Failures of one account from one address, within the window, that cost no wait. */
  perAccount: number
  /** Failures of all accounts from one address, likewise. */
  perAddress: number
  /** Milliseconds after which a failure is forgotten, and the longest wait. */
  windowMs: number
  /** Keys of each kind that are remembered. Default 100,000. */
  max?: number
}

/** `unknown`: it could not be found out (a source did not answer), so it is neither. */
export type AttemptOutcome = 'right' | 'wrong' | 'unknown'

interface Allowed {
  allowed: true
  /** To be called once it is known; calling it again does nothing. */
  done(outcome: AttemptOutcome): void
}

interface Refused {
  allowed: false
  /** Milliseconds until the next attempt is allowed, if nothing else happens. */
  retryAfterMs: number
}

export type Attempt = Allowed | Refused

export interface Throttle {
  /**
   * Asks for one attempt at a password.
   * @param address of the client, as the connection or a trusted header has it; undefined on a unix socket.
   */
  begin(account: string, address: string | undefined): Attempt
  /** Whether failures of that very account from that address stand in the way now. */
  mustWait(account: string, address: string | undefined): boolean
  /**
   * As `begin`, but where nothing except attempts under way stands in the way, waits for their ends: many clients that
   * start at once with the right password are all let in, and with a wrong one get no more tries than one by one.
   */
  enter(account: string, address: string | undefined): Promise<Attempt>
}

/** The first wait; each further failure doubles it. */
const FIRST_WAIT_MS = 1000
/** Attempts that may wait for the end of others of the same key; and how often one does, for others may overtake it. */
const MAX_WAITING = 100
const MAX_TURNS = 20
/** Longer names count by their hash, so that memory is bounded. */
const MAX_NAME = 64

/** What is remembered of a key. Times are those at which attempts began, in milliseconds. */
interface Failures {
  settled: number[]
  /** Under way, or never ended: they count as failures. */
  flying: number[]
  waiting: (() => void)[]
}

interface Counted {
  table: LRUCache<string, Failures>
  key: string
  free: number
  /** A success forgives what was wrong before. */
  forgiving: boolean
}

/** `blockers` are what only attempts under way keep from allowing; none when failures stand in the way. */
type Refusal = Refused & { blockers: Failures[] }

/**
 * Failed logins slow down further ones: those of an account from one address, so that nobody locks an account's owner
 * out from elsewhere; and those of all accounts from one address. After the free failures of a window the next attempt
 * waits a second from the beginning of the last, then two, four, and so on, at most the window.
 *
 * An attempt counts as a failure while it is under way, so many at once get no more tries than one after the other. IPv6
 * addresses count by their /64, which is what one client has. Addresses, accounts from addresses, and accounts without
 * an address are remembered apart: inventing names fills one table only, and an address may invent but a few.
 */
export function createThrottle(options: ThrottleOptions): Throttle {
  const { now, perAccount, perAddress, windowMs, max = 100_000 } = options
  const pairs = new LRUCache<string, Failures>({ max })
  const addresses = new LRUCache<string, Failures>({ max })
  const accounts = new LRUCache<string, Failures>({ max })

  function countedFor(account: string, address: string | undefined): Counted[] {
    const name = nameOf(account)
    if (address === undefined) return [{ table: accounts, key: name, free: perAccount, forgiving: true }]
    const group = groupOf(address)
    return [
      { table: pairs, key: `${group}\n${name}`, free: perAccount, forgiving: true },
      // A right password of one account must not buy guesses at others.
      { table: addresses, key: group, free: perAddress, forgiving: false },
    ]
  }

  function waitOf(times: readonly number[], free: number, time: number): number {
    if (times.length === 0 || times.length < free) return 0
    const wait = Math.min(FIRST_WAIT_MS * 2 ** (times.length - free), windowMs)
    // A clock that was set back makes no wait longer.
    return Math.max(0, Math.min(wait, Math.max(...times) + wait - time))
  }

  /** After the clock was set back, what seems to come later was now: else it would stand in the way until then. */
  function remembered(times: readonly number[], time: number): number[] {
    return times.filter((at) => time - at < windowMs).map((at) => Math.min(at, time))
  }

  function refusalOf(counted: readonly Counted[], time: number): Refusal | undefined {
    let refusal: Refusal | undefined
    let settles = true
    for (const { table, key, free } of counted) {
      const failures = table.get(key)
      if (failures === undefined) continue
      failures.settled = remembered(failures.settled, time)
      failures.flying = failures.flying.filter((at) => time - at < windowMs)
      const wait = waitOf([...failures.settled, ...failures.flying], free, time)
      if (wait === 0) continue
      settles &&= waitOf(failures.settled, free, time) === 0
      const blockers = [...(refusal?.blockers ?? []), failures]
      refusal = { allowed: false, retryAfterMs: Math.max(wait, refusal?.retryAfterMs ?? 0), blockers }
    }
    return refusal === undefined || settles ? refusal : { ...refusal, blockers: [] }
  }

  function start(counted: readonly Counted[], time: number): Allowed {
    const started = counted.map((one) => {
      const failures = one.table.get(one.key) ?? { settled: [], flying: [], waiting: [] }
      failures.flying.push(time)
      one.table.set(one.key, failures)
      return { ...one, failures }
    })
    let open = true
    return {
      allowed: true,
      done(outcome) {
        if (!open) return
        open = false
        for (const { table, key, forgiving, failures } of started) {
          const at = failures.flying.indexOf(time)
          if (at !== -1) failures.flying.splice(at, 1)
          if (outcome === 'wrong' && at !== -1) failures.settled.push(time)
          if (outcome === 'right' && forgiving) failures.settled = []
          const empty = failures.settled.length + failures.flying.length === 0
          if (empty && table.peek(key) === failures) table.delete(key)
          for (const wake of failures.waiting.splice(0)) wake()
        }
      },
    }
  }

  function tryOnce(account: string, address: string | undefined): Refusal | Allowed {
    const time = now()
    const counted = countedFor(account, address)
    return refusalOf(counted, time) ?? start(counted, time)
  }

  return {
    mustWait(account, address) {
      if (pairs.size === 0 && accounts.size === 0) return false
      const [own] = countedFor(account, address)
      const failures = own?.table.peek(own.key)
      if (own === undefined || failures === undefined) return false
      const time = now()
      failures.settled = remembered(failures.settled, time)
      return waitOf(failures.settled, own.free, time) > 0
    },
    begin(account, address) {
      const attempt = tryOnce(account, address)
      return attempt.allowed ? attempt : { allowed: false, retryAfterMs: attempt.retryAfterMs }
    },
    async enter(account, address) {
      for (let turn = 1; ; turn++) {
        const attempt = tryOnce(account, address)
        if (attempt.allowed) return attempt
        const blocker = attempt.blockers[0]
        if (blocker === undefined || blocker.waiting.length >= MAX_WAITING || turn === MAX_TURNS) {
          return { allowed: false, retryAfterMs: attempt.retryAfterMs }
        }
        await new Promise<void>((resolve) => blocker.waiting.push(resolve))
      }
    },
  }
}

/** Sources that do not tell letters apart by case (directories) would give an account a try for each spelling. */
function nameOf(account: string): string {
  const name = account.normalize('NFKC').toLowerCase()
  return name.length <= MAX_NAME ? name : createHash('sha256').update(name).digest('base64')
}

/** What one client has: an IPv4 address, or the /64 of an IPv6 address. */
export function groupOf(address: string): string {
  const bytes = parsePeer(address)
  if (bytes === undefined) return nameOf(address).replaceAll('\n', ' ')
  return bytes.length === 4 ? bytes.join('.') : `${Buffer.from(bytes.subarray(0, 8)).toString('hex')}/64`
}
