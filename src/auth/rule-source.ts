import { type Acl, compileAcl } from './acl.ts'
import { authorizeAcl, explainAcl } from './acl-authorizer.ts'
import { UnavailableError } from './authenticator.ts'
import type { Authorizer } from './authorizer.ts'
import { deadPatterns, RuleDocumentError, readRule } from './rule-document.ts'

export interface RuleSourceOptions {
  /** `acl_xorm`, `acl_mongo`. */
  name: string
  /** The whole list, in order, unchecked. It ends within bounded time. */
  load: () => Promise<readonly unknown[]>
  /** How a message names the entry; `NAME entry 3` (from 0) unless told. */
  where?: (document: unknown, index: number) => string
  /** Milliseconds after which the list is loaded again; 0 or absent: every minute. */
  cacheTtlMs?: number | undefined
  /** Milliseconds since the epoch. */
  now: () => number
  /** For the operator; shows no secret. */
  warn: (message: string) => void
  /** Gives back what `load` holds. */
  close?: () => Promise<void>
}

export interface RuleSource extends Authorizer {
  /** Loads the list now, and warns of what is wrong with it. Resolves to whether it could be taken. */
  refresh(): Promise<boolean>
}

const DEFAULT_TTL_MS = 60_000
/** Milliseconds after a failure until the next attempt, where the list's own time is longer. */
const RETRY_MS = 10_000
/** Past that it is refused: a part of a list would say something else. */
const MAX_RULES = 10_000
/** Messages about one list. */
const MAX_NOTICES = 10

/**
 * Rules that somebody else keeps, loaded as a whole. A list with one bad entry is refused as a whole, and the one before
 * stays, for a rule that is dropped or widened changes who may do what; so it does while nothing can be loaded.
 *
 * The question that finds the list too old waits for the new one; while loading fails, questions do not wait.
 * `authorize` throws UnavailableError as long as no list was ever taken.
 */
export function createRuleSource(options: RuleSourceOptions): RuleSource {
  const { name, now, warn } = options
  const ttl = options.cacheTtlMs || DEFAULT_TTL_MS
  const whereOf = options.where ?? ((_, index) => `${name} entry ${index}`)
  let acl: Acl | undefined
  let due = 0
  let loading: Promise<boolean> | undefined
  /** What was said last; the same is not said again. */
  let complaint: string | undefined
  let notices = ''

  function compile(documents: readonly unknown[]): Acl {
    if (documents.length > MAX_RULES) throw new RuleDocumentError(`there are more than ${MAX_RULES} rules`)
    const entries = documents.map((document, index) => readRule(document, whereOf(document, index)))
    let compiled: Acl
    try {
      compiled = compileAcl(entries)
    } catch (error) {
      throw new RuleDocumentError(firstLines(error instanceof Error ? error.message : String(error)))
    }
    const dead = entries.flatMap(deadPatterns)
    const said = dead.join('\n')
    if (said !== notices) for (const notice of dead.slice(0, MAX_NOTICES)) warn(notice)
    notices = said
    return compiled
  }

  async function load(): Promise<boolean> {
    try {
      acl = compile(await options.load())
      due = now() + ttl
      complaint = undefined
      return true
    } catch (error) {
      const isBad = error instanceof RuleDocumentError
      due = now() + Math.min(ttl, RETRY_MS)
      // One outage has many texts (refused, timed out …), a list has its own.
      const kind = isBad ? error.message : 'unread'
      const what = isBad ? 'the new rules are refused' : `the rules of ${name} cannot be read`
      if (kind !== complaint) warn(`${what}: ${reasonOf(error)}; ${held()}`)
      complaint = kind
      return false
    }
  }

  function held(): string {
    return acl === undefined ? 'there are none, so every question is refused' : 'the ones from before hold'
  }

  function refresh(): Promise<boolean> {
    loading ??= load().finally(() => {
      loading = undefined
    })
    return loading
  }

  /** The rules to decide by; a promise only when they have to be loaded. */
  function current(): Acl | Promise<Acl> {
    if (acl === undefined) return refresh().then(known)
    // A clock that was set back must not keep rules from being read for as long.
    const left = due - now()
    if (left > 0 && left <= ttl) return acl
    const refreshing = refresh()
    // In an outage nobody waits, for the next attempt may take its time, too; but what nobody asked for in a while is too old.
    const isOutage = complaint !== undefined && now() - due < ttl
    return isOutage ? acl : refreshing.then(known)
  }

  function known(): Acl {
    if (acl === undefined) throw new UnavailableError(`the rules of ${name} cannot be read`)
    return acl
  }

  return {
    name,
    refresh,
    authorize(request, mode) {
      const rules = current()
      return rules instanceof Promise
        ? rules.then((loaded) => authorizeAcl(loaded, request, mode))
        : authorizeAcl(rules, request, mode)
    },
    explain: async (request, mode) => explainAcl(await current(), request, mode),
    async close() {
      await options.close?.()
    },
  }
}

function firstLines(text: string): string {
  return text.split('\n').slice(0, MAX_NOTICES).join('; ')
}

/** Unavailable sources say the least to clients, and the rest to the log. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error instanceof UnavailableError && error.cause instanceof Error
    ? `${error.message}: ${error.cause.message}`
    : error.message
}
