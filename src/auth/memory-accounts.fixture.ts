import type { AuditRow, GroupRow, Metadata, Page, RuleRow, TokenRow, UserRow } from '../metadata/metadata.ts'

export type MemoryAccounts = Pick<Metadata, 'users' | 'groups' | 'tokens' | 'rules' | 'audit'> & {
  /** From now on each question fails with this error; undefined: no longer. */
  fail(error: Error | undefined): void
}

/** The rows about accounts in memory, for tests of what stands above them. */
export function memoryAccounts(): MemoryAccounts {
  const users = new Map<string, UserRow>()
  const groups = new Map<string, GroupRow>()
  const members = new Map<string, Set<string>>()
  const tokens = new Map<string, TokenRow>()
  const audit: (AuditRow & { id: number })[] = []
  let rules: readonly RuleRow[] = []
  let revision = 1
  let fault: Error | undefined

  /** Asynchronous as a database is: others may run between a question and its answer. */
  async function answer<T>(work: () => T): Promise<T> {
    await Promise.resolve()
    if (fault !== undefined) throw fault
    return structuredClone(work())
  }

  function page<T>(rows: Iterable<T>, key: (row: T) => string, { last, limit }: Page): T[] {
    return [...rows]
      .filter((row) => last === undefined || key(row) > last)
      .sort((a, b) => (key(a) < key(b) ? -1 : 1))
      .slice(0, limit)
  }

  function removeTokens(fits: (row: TokenRow) => boolean): number {
    const ids = [...tokens.values()].filter(fits).map(({ id }) => id)
    for (const id of ids) tokens.delete(id)
    return ids.length
  }

  return {
    fail(error) {
      fault = error
    },
    users: {
      find: (name) => answer(() => users.get(name)),
      list: (wanted, kind) =>
        answer(() =>
          page(users.values(), ({ name }) => name, { ...wanted, limit: users.size })
            .filter((row) => kind === undefined || row.kind === kind)
            .slice(0, wanted.limit),
        ),
      put: (user) =>
        answer(() => {
          users.set(user.name, { ...user, createdAt: users.get(user.name)?.createdAt ?? user.createdAt })
        }),
      remove: (name) =>
        answer(() => {
          const row = users.get(name)
          for (const names of members.values()) names.delete(name)
          removeTokens(({ account, source }) => account === name && (source === 'berth' || source === row?.source))
          return users.delete(name)
        }),
    },
    groups: {
      find: (name) => answer(() => groups.get(name)),
      list: (wanted) => answer(() => page(groups.values(), ({ name }) => name, wanted)),
      put: (group) =>
        answer(() => {
          groups.set(group.name, { ...group, createdAt: groups.get(group.name)?.createdAt ?? group.createdAt })
        }),
      remove: (name) =>
        answer(() => {
          members.delete(name)
          return groups.delete(name)
        }),
      members: (group, wanted) => answer(() => page(members.get(group) ?? [], (name) => name, wanted)),
      of: (user) => answer(() => [...members].flatMap(([group, names]) => (names.has(user) ? [group] : [])).sort()),
      join: (group, user) =>
        answer(() => {
          if (!groups.has(group)) return 'no-group'
          if (!users.has(user)) return 'no-user'
          members.set(group, (members.get(group) ?? new Set<string>()).add(user))
          return 'joined'
        }),
      leave: (group, user) => answer(() => members.get(group)?.delete(user) === true),
    },
    tokens: {
      findByHash: (hash) => answer(() => [...tokens.values()].find((row) => row.hash === hash)),
      find: (id) => answer(() => tokens.get(id)),
      list: ({ account, kind }, wanted) =>
        answer(() => {
          const fits = (row: TokenRow) =>
            (account === undefined || row.account === account) && (kind === undefined || row.kind === kind)
          return page([...tokens.values()].filter(fits), ({ id }) => id, wanted)
        }),
      add: (token) => answer(() => void tokens.set(token.id, token)),
      touch: (uses) =>
        answer(() => {
          for (const { id, at, from } of uses) {
            const row = tokens.get(id)
            if (row !== undefined) tokens.set(id, { ...row, lastUsedAt: at, lastUsedFrom: from })
          }
        }),
      remove: (id) => answer(() => tokens.delete(id)),
      removeAll: ({ account, source, kind }) =>
        answer(() =>
          removeTokens(
            (row) =>
              row.account === account &&
              (source === undefined || row.source === source) &&
              (kind === undefined || row.kind === kind),
          ),
        ),
      expire: (before, limit) =>
        answer(() => {
          const ended = [...tokens.values()].filter(({ expiresAt }) => expiresAt !== undefined && expiresAt < before)
          const going = new Set(ended.slice(0, limit).map(({ id }) => id))
          return removeTokens(({ id }) => going.has(id))
        }),
    },
    rules: {
      list: () => answer(() => ({ revision, rules: [...rules] })),
      replace: (old, next) =>
        answer(() => {
          if (old !== revision) return false
          rules = next
          revision++
          return true
        }),
    },
    audit: {
      append: (rows) => answer(() => rows.forEach((row) => void audit.push({ ...row, id: audit.length + 1 }))),
      list: ({ account, kind, outcome }, { before, limit }) =>
        answer(() =>
          audit
            .toReversed()
            .filter(
              (row) =>
                (before === undefined || row.id < before) &&
                (account === undefined || row.account === account) &&
                (kind === undefined || row.kind === kind) &&
                (outcome === undefined || row.outcome === outcome),
            )
            .slice(0, limit),
        ),
      prune: () => answer(() => 0),
    },
  }
}
