import { type Audit, type AuditRow, MetadataError } from '../metadata/metadata.ts'
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

  constructor(kind: ChangeError['kind'], message: string, problems: readonly ChangeProblem[] = []) {
    super(message)
    this.name = 'ChangeError'
    this.kind = kind
    this.problems = problems
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
   * whether it happens or not. The work must not ask for a further change.
   * @param asked what is changed (`user alice`)
   * @param detail what the change is, without secrets
   * @throws ChangeError, UnavailableError
   */
  run<T>(actor: Actor, asked: string, detail: string, work: () => Promise<T>): Promise<T>
}

/** Characters of a recorded text. */
const MAX_TEXT = 500

/** All use cases that change accounts, tokens and rules share one. `record` must neither throw nor wait. */
export function createChanges(options: { now: () => number; record: (row: AuditRow) => void }): Changes {
  let last: Promise<unknown> = Promise.resolve()

  async function recorded<T>(row: AuditRow, work: () => Promise<T>): Promise<T> {
    try {
      const result = await answered(work)
      options.record({ ...row, at: options.now(), outcome: 'done' })
      return result
    } catch (error) {
      const known = error instanceof ChangeError || error instanceof UnavailableError
      const detail = `${row.detail}: ${known ? error.message : 'internal error'}`.slice(0, MAX_TEXT)
      options.record({ ...row, at: options.now(), outcome: 'failed', detail })
      throw error
    }
  }

  return {
    run(actor, asked, detail, work) {
      const row: AuditRow = {
        at: 0,
        kind: 'change',
        ...actor,
        service: '',
        asked: asked.slice(0, MAX_TEXT),
        granted: '',
        rules: '',
        outcome: 'done',
        detail: detail.slice(0, MAX_TEXT),
      }
      const mine = last.then(() => recorded(row, work))
      last = mine.catch(() => {})
      return mine
    },
  }
}

const FAULTS = {
  'no-space': 'the database has no space left on its disk',
  'read-only': 'the database cannot be written',
  corrupt: 'the database is damaged',
  failed: 'the database does not answer',
} as const

/** Asks the database; that it cannot answer becomes an UnavailableError with a text for anybody. */
export async function answered<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof MetadataError) throw new UnavailableError(FAULTS[error.fault], { cause: error })
    throw error
  }
}
