import { type AccountsDeps, createAccounts } from './accounts.ts'
import { type Actor, createChanges } from './administration.ts'
import { createCredentialTokens } from './credential-tokens.ts'
import { createGroups } from './groups.ts'
import { memoryAccounts } from './memory-accounts.fixture.ts'
import { createPasswords } from './password.ts'
import { createRobots } from './robots.ts'
import { createRuleBook } from './rule-book.ts'

export const START = Date.parse('2026-01-02T03:04:05Z')

export const ACTOR: Actor = { account: 'root', source: 'berth', address: '192.0.2.1' }

/** All use cases on rows in memory, with a clock that a test moves. */
export function openAccounts(more: Partial<AccountsDeps> = {}) {
  const metadata = memoryAccounts()
  let time = START
  let ids = 0
  const now = () => time
  const newId = () => `id-${String(++ids).padStart(3, '0')}`
  const recorded: string[] = []
  const planned: (() => void)[] = []
  const changes = createChanges({
    now,
    record: ({ account, asked, outcome, detail }) => recorded.push(`${account} ${asked}: ${outcome}: ${detail}`),
  })
  const passwords = createPasswords({ now })
  const tokens = createCredentialTokens({
    tokens: metadata.tokens,
    now,
    newId,
    changes,
    later: (work) => planned.push(work),
  })
  return {
    metadata,
    now,
    newId,
    changes,
    passwords,
    recorded,
    /** Work that waits for its time. */
    planned,
    tokens,
    accounts: createAccounts({ metadata, now, changes, passwords, ...more }),
    groups: createGroups({ metadata, now, changes }),
    robots: createRobots({ metadata, tokens, now, changes, passwords }),
    rules: createRuleBook({ rules: metadata.rules, newId, changes }),
    wait(ms: number) {
      time += ms
    },
  }
}

/** What a promise is rejected with; undefined when it is not. */
export async function caught(promise: Promise<unknown>): Promise<unknown> {
  return await promise.then(
    () => undefined,
    (error: unknown) => error,
  )
}
