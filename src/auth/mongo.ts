import type { Document } from 'mongodb'
import { ANONYMOUS, type Authenticator, type Labels, UnavailableError } from './authenticator.ts'
import { type MongoOptions, openMongoCollection } from './mongo-collection.ts'
import { hashKind, type Passwords, stampOf } from './password.ts'
import { createRuleSource, type RuleSource } from './rule-source.ts'

export type { MongoOptions } from './mongo-collection.ts'

/** One more than a source of rules takes, so that it sees that there are too many. */
const MAX_RULES = 10_001

/**
 * Users of a collection of MongoDB (docker_auth's `mongo_auth`): documents `{username, password, labels}`, where password
 * is a bcrypt hash; without one any password is right.
 */
export function createMongoUsers(
  options: MongoOptions & { passwords: Passwords; warn: (message: string) => void },
): Authenticator {
  const { passwords } = options
  const collection = openMongoCollection({ ...options, name: 'mongo_auth', unique: 'username' })

  async function userOf(
    account: string,
  ): Promise<{ hash: string | undefined; isOpen: boolean; labels: Labels } | undefined> {
    const [user] = await collection.read({ username: account }, { limit: 1 })
    if (user === undefined || user.username !== account) return undefined
    const password: unknown = user.password ?? undefined
    // docker_auth knows no other kind.
    const hash = typeof password === 'string' && hashKind(password) === 'bcrypt' ? password : undefined
    return { hash, isOpen: password === undefined, labels: labelsOf(user) }
  }

  return {
    name: 'mongo_auth',
    async authenticate(account, password) {
      const user = await userOf(account)
      if (user === undefined) return 'no-match'
      const { hash, isOpen, labels } = user
      if (isOpen) return { kind: 'yes', labels }
      return (await passwords.check({ source: 'mongo_auth', account, password, hash }))
        ? { kind: 'yes', labels }
        : 'wrong-password'
    },
    async find(account) {
      const user = account === ANONYMOUS ? undefined : await userOf(account)
      if (user === undefined || (user.hash === undefined && !user.isOpen)) return undefined
      return { labels: user.labels, stamp: stampOf(user.hash) }
    },
    close: () => collection.close(),
  }
}

/**
 * Rules of a collection of MongoDB (docker_auth's `acl_mongo`): documents `{seq, match, actions, comment}`, in the order of
 * `seq`; as a whole, as `createRuleSource` says.
 */
export function createMongoRules(
  options: MongoOptions & { cacheTtlMs: number; now: () => number; warn: (message: string) => void },
): RuleSource {
  const { cacheTtlMs, now, warn } = options
  const collection = openMongoCollection({ ...options, name: 'acl_mongo', unique: 'seq' })
  return createRuleSource({
    ...{ name: 'acl_mongo', cacheTtlMs, now, warn },
    load: () => collection.read({}, { sort: { seq: 1 }, limit: MAX_RULES }),
    where: (document, index) => {
      const seq = typeof document === 'object' && document !== null && 'seq' in document ? document.seq : undefined
      return seq === undefined ? `acl_mongo entry ${index}` : `acl_mongo seq ${seq}`
    },
    close: () => collection.close(),
  })
}

/** @throws UnavailableError where they are none: what rules would make of them is unknown. */
function labelsOf({ labels }: Document): Labels {
  const map: unknown = labels ?? {}
  if (typeof map !== 'object' || map === null || Array.isArray(map))
    throw new UnavailableError('the labels of a user are no map')
  return Object.fromEntries(
    Object.entries(map).map(([label, values]): [string, string[]] => {
      const list: unknown = values ?? []
      if (!isTexts(list)) throw new UnavailableError('the labels of a user are no lists of texts')
      return [label, list]
    }),
  )
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string')
}
