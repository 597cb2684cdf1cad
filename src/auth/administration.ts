import { type Audit, type AuditRow, MetadataError } from '../metadata/metadata.ts'
import { RegistryError } from '../oci/error.ts'
import { UnavailableError } from './authenticator.ts'

/** The name of the source of Berth's own users and robots, in rows of tokens and of accounts. */
export const BERTH = 'berth'

/** Who makes a change. */
export interface Actor {
  account: string
  source: string
  /** Empty on a unix socket. */
  address: string
}

/** Whoever may open the data directory or its socket. The name is one that no user can have. */
export const OPERATOR: Actor = { account: '@operator', source: 'socket', address: '' }

export type AuditEntry = AuditRow & { id: number }
export type AuditLog = Pick<Audit, 'list'>

/** One thing that is wrong with a change; `path` is that of the value (`match.ip`), empty for the whole. */
export interface ChangeProblem {
  path: string
  message: string
}

/** A change that cannot be made. Its texts may be shown to whoever asked for it. */
export class ChangeError extends Error {
  readonly kind: 'invalid' | 'not-found' | 'conflict'
  readonly problems: readonly ChangeProblem[]
  /** The rule of immutable tags that forbids it. */
  readonly immutable: string | undefined

  constructor(
    kind: ChangeError['kind'],
    message: string,
    problems: readonly ChangeProblem[] = [],
    { immutable }: { immutable?: string | undefined } = {},
  ) {
    super(message)
    this.name = 'ChangeError'
    this.kind = kind
    this.problems = problems
    this.immutable = immutable
  }
}

export function invalid(path: string, message: string): ChangeError {
  return new ChangeError('invalid', message, [{ path, message }])
}

export function notFound(what: string): ChangeError {
  return new ChangeError('not-found', `there is no ${what}`)
}

export interface Changes {
  /**
   * Makes one change, after those that were asked for before it: what it reads stays true while it writes. It is recorded
   * whether it happens or not, unless it is turned away because too many wait. The work must not ask for a further change.
   * @param asked what is changed (`user alice`)
   * @param detail what the change is, without secrets; a function is asked when it is known.
   * @throws ChangeError, UnavailableError
   */
  run<T>(actor: Actor, asked: string, detail: string | (() => string), work: () => Promise<T>): Promise<T>
  /**
   * As `run`, for a change with a part that takes long and depends on nothing (a hash of a password): `prepare` runs at once,
   * so that the changes of others do not wait for it, and the work gets its result in its turn.
   */
  prepared<P, T>(
    actor: Actor,
    asked: string,
    detail: string,
    prepare: () => Promise<P>,
    work: (prepared: P) => Promise<T>,
  ): Promise<T>
}

/** Changes that may be under way or wait: those of one account, and those of all. */
const MAX_EACH = 50
const MAX_ALL = 200

/** Characters of a recorded text. */
const MAX_TEXT = 500

/** All use cases that change accounts, tokens and rules share one. `record` must neither throw nor wait. */
export function createChanges(options: { now: () => number; record: (row: AuditRow) => void }): Changes {
  let last: Promise<unknown> = Promise.resolve()
  const underWay = new Map<string, number>()
  let all = 0

  /** One account must not keep the changes of others waiting; nor may all accounts together those of the operator. */
  async function admitted<T>({ account, source }: Actor, work: () => Promise<T>): Promise<T> {
    const isOperator = account === OPERATOR.account && source === OPERATOR.source
    const key = `${source}\n${account}`
    const own = underWay.get(key) ?? 0
    if (own >= (isOperator ? MAX_ALL : MAX_EACH) || (all >= MAX_ALL && !isOperator)) {
      throw new UnavailableError('too many changes are waiting; try again soon')
    }
    underWay.set(key, own + 1)
    if (!isOperator) all++
    try {
      return await work()
    } finally {
      const left = (underWay.get(key) ?? 1) - 1
      if (left === 0) underWay.delete(key)
      else underWay.set(key, left)
      if (!isOperator) all--
    }
  }

  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const mine = last.then(work)
    last = mine.catch(() => {})
    return mine
  }

  async function recorded<T>(
    actor: Actor,
    asked: string,
    detail: string | (() => string),
    work: () => Promise<T>,
  ): Promise<T> {
    const { account, source, address } = actor
    const record = (outcome: 'done' | 'failed', more: string) => {
      const text = `${typeof detail === 'string' ? detail : detail()}${more}`.slice(0, MAX_TEXT)
      const row = { at: options.now(), kind: 'change', account, source, address, outcome, detail: text } as const
      options.record({ ...row, service: '', asked: asked.slice(0, MAX_TEXT), granted: '', rules: '' })
    }
    try {
      const result = await answered(work)
      record('done', '')
      return result
    } catch (error) {
      const known = error instanceof ChangeError || error instanceof UnavailableError
      record('failed', `: ${known ? error.message : 'internal error'}`)
      throw error
    }
  }

  return {
    run: (actor, asked, detail, work) => admitted(actor, () => inTurn(() => recorded(actor, asked, detail, work))),

    prepared: (actor, asked, detail, prepare, work) =>
      admitted(actor, () =>
        recorded(actor, asked, detail, async () => {
          const prepared = await prepare()
          return await inTurn(() => work(prepared))
        }),
      ),
  }
}

const FAULTS = {
  'no-space': 'the database has no space left on its disk',
  'read-only': 'the database cannot be written',
  io: 'the disk of the database reports errors',
  corrupt: 'the database is damaged',
  failed: 'the database does not answer',
  denied: 'the change is not allowed',
} as const

/** Asks the database; that it cannot answer becomes an UnavailableError with a text for anybody. */
export async function answered<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof MetadataError) throw new UnavailableError(FAULTS[error.fault], { cause: error })
    if (error instanceof RegistryError && error.code === 'UNAVAILABLE') {
      throw new UnavailableError(error.message, { cause: error })
    }
    throw error
  }
}
