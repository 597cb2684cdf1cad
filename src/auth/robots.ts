import type { Metadata, Page, TokenRow, UserRow } from '../metadata/metadata.ts'
import { nameProblem, robotName } from './account-name.ts'
import { type Account, accountOf } from './accounts.ts'
import { type Actor, answered, BERTH, ChangeError, type Changes, invalid, notFound } from './administration.ts'
import { type CredentialTokens, checkExpiry, hasEnded, type NewSecret } from './credential-tokens.ts'
import { readGrants } from './grant-list.ts'
import type { Passwords } from './password.ts'

export interface NewRobot {
  /** With or without `robot-`. */
  name: string
  /** `repository:team/**:pull,push` */
  grants: readonly string[]
  description?: string | undefined
  /** Of its first token, in milliseconds since the epoch; undefined: never. */
  expiresAt?: number | undefined
}

export interface RobotChange {
  grants?: readonly string[] | undefined
  disabled?: boolean | undefined
  description?: string | undefined
}

/** What its tokens say of a robot; times in milliseconds since the epoch. */
export interface RobotUse {
  lastUsedAt: number | undefined
  /** Tokens that count now; refresh tokens, which end with the one that they are from, aside. */
  tokens: number
  /** When the last of them ends; undefined: one never does, or there is none. */
  tokensEndAt: number | undefined
}

/** Tokens of one robot that are looked at. */
const MOST_TOKENS = 1000

/** Accounts of programs: rights of their own, tokens, no password. All throw ChangeError and UnavailableError. */
export interface Robots {
  find(name: string): Promise<Account | undefined>
  list(page: Page): Promise<Account[]>
  /** The secret of its first token is never shown again. */
  create(robot: NewRobot, actor: Actor): Promise<{ robot: Account; token: NewSecret }>
  change(name: string, change: RobotChange, actor: Actor): Promise<Account>
  /** Takes its tokens with it. */
  remove(name: string, actor: Actor): Promise<void>
  tokens(name: string, page: Page): Promise<TokenRow[]>
  /** What the tokens of these accounts say of them, in their order. */
  uses(robots: readonly Pick<Account, 'name'>[]): Promise<RobotUse[]>
  addToken(name: string, token: { name: string; expiresAt?: number | undefined }, actor: Actor): Promise<NewSecret>
}

export function createRobots(deps: {
  metadata: Pick<Metadata, 'users'>
  tokens: CredentialTokens
  now: () => number
  changes: Changes
  passwords: Pick<Passwords, 'reconsider'>
}): Robots {
  const { now, changes, tokens, passwords } = deps
  const { users } = deps.metadata

  async function lookUp(name: string): Promise<UserRow | undefined> {
    const row = await users.find(robotName(name))
    return row?.kind === 'robot' ? row : undefined
  }

  async function robot(name: string): Promise<UserRow> {
    const row = await lookUp(name)
    if (row === undefined) throw notFound(`robot ${robotName(name)}`)
    return row
  }

  /** What was refused a moment ago may be right now, and counts at once. */
  async function put(row: UserRow): Promise<void> {
    await users.put(row)
    passwords.reconsider()
  }

  async function addToken(name: string, token: { name: string; expiresAt?: number | undefined }, actor: Actor) {
    const account = (await answered(() => robot(name))).name
    const { expiresAt } = token
    // No stamp: there is no password whose change could end it.
    const row = { source: BERTH, account, name: token.name, kind: 'personal', expiresAt } as const
    // The robot may go while this waits for its turn, and another one of its name must not inherit the token.
    const check = () => robot(account)
    return await tokens.create({ ...row, limits: undefined, stamp: undefined }, actor, { check })
  }

  return {
    async find(name) {
      const row = await answered(() => lookUp(name))
      return row && accountOf(row)
    },

    async list(page) {
      return (await answered(() => users.list(page, 'robot'))).map(accountOf)
    },

    async create(wanted, actor) {
      const name = robotName(wanted.name)
      const detail = `made, with ${wanted.grants.join(' ')}`
      const made = await changes.run(actor, `robot ${name}`, detail, async () => {
        const problem = nameProblem('robot', name)
        if (problem !== undefined) throw invalid('name', problem)
        const grants = readGrants(wanted.grants, 'grants')
        // Before the robot is there: a date that is over must not leave one without a token.
        checkExpiry(wanted.expiresAt, now())
        if ((await users.find(name)) !== undefined)
          throw new ChangeError('conflict', `there is a robot ${name} already`)
        const time = now()
        const row: UserRow = {
          name,
          kind: 'robot',
          source: BERTH,
          passwordHash: undefined,
          admin: false,
          disabled: false,
          labels: {},
          grants,
          description: wanted.description ?? '',
          createdAt: time,
          updatedAt: time,
        }
        await put(row)
        return accountOf(row)
      })
      return { robot: made, token: await addToken(name, { name: 'first', expiresAt: wanted.expiresAt }, actor) }
    },

    async change(name, change, actor) {
      return await changes.run(actor, `robot ${robotName(name)}`, summary(change), async () => {
        const row = await robot(name)
        const next: UserRow = {
          ...row,
          grants: change.grants === undefined ? row.grants : readGrants(change.grants, 'grants'),
          disabled: change.disabled ?? row.disabled,
          description: change.description ?? row.description,
          updatedAt: now(),
        }
        await put(next)
        return accountOf(next)
      })
    },

    async remove(name, actor) {
      await changes.run(actor, `robot ${robotName(name)}`, 'removed', async () => {
        await users.remove((await robot(name)).name)
      })
    },

    async tokens(name, page) {
      const account = (await answered(() => robot(name))).name
      return await tokens.list({ account }, page)
    },

    async uses(robots) {
      const found: RobotUse[] = []
      for (const { name } of robots) {
        found.push(useOf(await tokens.list({ account: name }, { limit: MOST_TOKENS }), now()))
      }
      return found
    },

    addToken,
  }
}

function useOf(rows: readonly TokenRow[], time: number): RobotUse {
  const used = rows.flatMap(({ lastUsedAt }) => lastUsedAt ?? [])
  const valid = rows.filter((row) => row.kind === 'personal' && !hasEnded(row, time))
  const ends = valid.flatMap(({ expiresAt }) => expiresAt ?? [])
  return {
    lastUsedAt: used.length === 0 ? undefined : Math.max(...used),
    tokens: valid.length,
    tokensEndAt: valid.length === 0 || ends.length < valid.length ? undefined : Math.max(...ends),
  }
}

function summary({ grants, disabled, description }: RobotChange): string {
  const parts = [
    disabled === undefined ? undefined : disabled ? 'disabled' : 'enabled',
    grants === undefined ? undefined : `may ${grants.join(' ')}`,
    description === undefined ? undefined : 'description',
  ]
  return parts.filter((part) => part !== undefined).join(', ') || 'nothing'
}
