import { describe, expect, test } from 'bun:test'
import { createHash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import fc from 'fast-check'
import { MetadataError } from '../metadata/metadata.ts'
import { ACTOR, caught, openAccounts, START } from './accounts.fixture.ts'
import { ChangeError } from './administration.ts'
import { newSecret, SECRET_PATTERN, secretKind } from './credential-secret.ts'
import { createCredentialTokens } from './credential-tokens.ts'
import { createUses } from './token-uses.ts'

const TOKEN = {
  source: 'berth',
  account: 'jo',
  name: 'laptop',
  kind: 'personal',
  limits: undefined,
  expiresAt: undefined,
  stamp: undefined,
} as const

const WEEK = 7 * 86_400_000

describe('a secret', () => {
  test('says what it is, and proves that it was not mistyped', () => {
    const zeros = newSecret('personal', (bytes) => new Uint8Array(bytes))
    expect(zeros).toStartWith(`berth_p${'0'.repeat(43)}`)
    const ones = newSecret('refresh', (bytes) => new Uint8Array(bytes).fill(0xff))
    expect(ones).toMatch(SECRET_PATTERN)
    expect(BigInt(crc32(ones.slice(0, -6)))).toBe(fromBase62(ones.slice(-6)))
    expect(fromBase62(ones.slice(7, -6))).toBe(2n ** 256n - 1n)
    expect([secretKind(zeros), secretKind(ones)]).toEqual(['personal', 'refresh'])
  })

  test('with any other character in any place is none', () => {
    const secret = newSecret('personal')
    fc.assert(
      fc.property(fc.nat(secret.length - 1), fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }), (at, other) => {
        fc.pre(secret[at] !== other)
        expect(secretKind(secret.slice(0, at) + other + secret.slice(at + 1))).toBeUndefined()
      }),
      { seed: 20_260_101 },
    )
  })

  test.each([[''], ['berth_p'], ['password'], ['dckr_pat_abc'], [`berth_p${'0'.repeat(49)}\n`]])(
    'is not %p',
    (text) => {
      expect(secretKind(text)).toBeUndefined()
    },
  )
})

describe('a token', () => {
  test('is kept as the SHA-256 of its secret, and found by it', async () => {
    const { tokens, metadata, recorded } = openAccounts()
    const { secret, token } = await tokens.create(TOKEN, ACTOR)
    expect(token).toEqual({
      ...TOKEN,
      id: 'id-001',
      hash: createHash('sha256').update(secret).digest('hex'),
      createdAt: START,
      lastUsedAt: undefined,
      lastUsedFrom: undefined,
    })
    expect(JSON.stringify(await metadata.tokens.list({}, { limit: 9 }))).not.toContain(secret)
    expect(await tokens.check(secret, START)).toEqual(token)
    expect(recorded).toEqual(['root tokens of jo: done: made laptop'])
  })

  test('ends when its time is over, and when it is revoked', async () => {
    const { tokens, recorded } = openAccounts()
    const { secret, token } = await tokens.create({ ...TOKEN, expiresAt: START + 10 }, ACTOR)
    expect(await tokens.check(secret, START + 9)).toEqual(token)
    expect(await tokens.check(secret, START + 10)).toBeUndefined()
    await tokens.revoke(token.id, ACTOR)
    expect(await tokens.check(secret, START)).toBeUndefined()
    expect(recorded.at(-1)).toBe('root tokens of jo: done: revoked laptop')
    expect(await caught(tokens.revoke(token.id, ACTOR))).toEqual(
      new ChangeError('not-found', 'there is no token id-001'),
    )
  })

  test('is not looked for when it is mistyped or none', async () => {
    const { tokens, metadata } = openAccounts()
    metadata.fail(new MetadataError('failed', 'x'))
    expect(await tokens.check('berth_pABC', START)).toBeUndefined()
    expect(String(await caught(tokens.check(newSecret('personal'), START)))).toBe(
      'UnavailableError: the database does not answer',
    )
  })

  test.each([
    ['without a name', { name: '' }],
    ['with a name that a terminal would obey', { name: 'a\x1b[2J' }],
    ['with a name of 101 characters', { name: 'x'.repeat(101) }],
    ['that is over', { expiresAt: START }],
  ])('is not made %s', async (_, more) => {
    const { tokens } = openAccounts()
    expect(await caught(tokens.create({ ...TOKEN, ...more }, ACTOR))).toBeInstanceOf(ChangeError)
  })

  test('is the last one of its account at 200, unless others have ended', async () => {
    const { tokens, wait } = openAccounts()
    await tokens.create({ ...TOKEN, expiresAt: START + 1 })
    for (let i = 1; i < 200; i++) await tokens.create(TOKEN)
    expect(await caught(tokens.create(TOKEN))).toEqual(
      new ChangeError('conflict', 'jo has 200 tokens: revoke one first'),
    )
    await tokens.create({ ...TOKEN, account: 'other' })
    wait(1)
    await tokens.create(TOKEN)
    expect(await tokens.list({ account: 'jo' }, { limit: 1000 })).toHaveLength(200)
  })

  test('that refreshes is named by its client, as far as that can be shown', async () => {
    const { tokens } = openAccounts()
    const names: string[] = []
    for (const name of ['docker', '', 'a\x1b[2J', 'x'.repeat(200)]) {
      names.push((await tokens.create({ ...TOKEN, kind: 'refresh', name })).token.name)
    }
    expect(names).toEqual(['docker', 'unknown client', 'a[2J', 'x'.repeat(100)])
  })

  test('that refreshes takes the place of the one that was idle longest', async () => {
    const { tokens, wait } = openAccounts()
    const made: string[] = []
    for (let i = 0; i < 200; i++) {
      wait(1)
      made.push((await tokens.create({ ...TOKEN, kind: 'refresh' })).secret)
    }
    await tokens.check(made[0] ?? '', START + 1000)
    await tokens.flush()
    await tokens.create({ ...TOKEN, kind: 'refresh' })
    expect(await tokens.check(made[0] ?? '', START)).toBeDefined()
    expect(await tokens.check(made[1] ?? '', START)).toBeUndefined()
    expect(await tokens.check(made[2] ?? '', START)).toBeDefined()
  })

  test('that refreshes keeps to 200 however many are asked for at once, and however many there were', async () => {
    const { tokens, metadata, wait } = openAccounts()
    const { token } = await tokens.create({ ...TOKEN, kind: 'refresh' })
    for (let i = 0; i < 700; i++) await metadata.tokens.add({ ...token, id: `old-${i}`, hash: `old-${i}` })
    const other = { ...TOKEN, source: 'ldap', kind: 'refresh' } as const
    for (let i = 0; i < 3; i++) await tokens.create(other)
    wait(1)
    const made = await Promise.all(Array.from({ length: 300 }, () => tokens.create({ ...TOKEN, kind: 'refresh' })))
    expect(new Set(made.map(({ secret }) => secret)).size).toBe(300)
    const left = await tokens.list({ account: 'jo', kind: 'refresh' }, { limit: 2000 })
    expect(left.filter(({ source }) => source === 'berth')).toHaveLength(200)
    expect(left.filter(({ source }) => source === 'ldap')).toHaveLength(3)
    expect(left.filter(({ id }) => id.startsWith('old-'))).toEqual([])
  })

  test('that refreshes is made even where those that are too many cannot be removed', async () => {
    const { metadata, now, newId, changes } = openAccounts()
    const warnings: string[] = []
    const failing = { ...metadata.tokens, list: () => Promise.reject(new MetadataError('failed', 'x')) }
    const warn = (message: string) => warnings.push(message)
    const tokens = createCredentialTokens({ tokens: failing, now, newId, changes, warn })
    const { secret } = await tokens.create({ ...TOKEN, kind: 'refresh' })
    expect(await tokens.check(secret, START)).toMatchObject({ account: 'jo' })
    expect(warnings).toEqual(['refresh tokens that are too many could not be removed'])
  })

  test('counts for its own source alone', async () => {
    const { tokens } = openAccounts()
    for (let i = 0; i < 200; i++) await tokens.create({ ...TOKEN, source: 'ldap' })
    expect((await tokens.create(TOKEN)).token.source).toBe('berth')
  })

  test('is made in place of the oldest that gives way to it, where there are too many', async () => {
    const { tokens, wait } = openAccounts()
    for (let i = 0; i < 200; i++) {
      wait(1)
      await tokens.create({ ...TOKEN, name: i === 7 || i === 9 ? 'sign-in' : 'mine' })
    }
    const yields = ({ name }: { name: string }) => name === 'sign-in'
    for (let i = 0; i < 2; i++) await tokens.create({ ...TOKEN, name: 'new' }, ACTOR, { yields })
    const names = (await tokens.list({ account: 'jo' }, { limit: 1000 })).map(({ id, name }) => `${id} ${name}`)
    expect(names).toHaveLength(200)
    expect(names.filter((name) => !name.endsWith('mine'))).toEqual(['id-201 new', 'id-202 new'])
    expect(await caught(tokens.create(TOKEN, ACTOR, { yields }))).toBeInstanceOf(ChangeError)
  })

  test('that refreshes goes a week after its idle time is over, by the longest life that anybody told', async () => {
    const { tokens, wait } = openAccounts()
    const used = await tokens.create({ ...TOKEN, kind: 'refresh' })
    for (let i = 0; i < 1100; i++) await tokens.create({ ...TOKEN, account: `a${i}`, kind: 'refresh' })
    await tokens.create(TOKEN)
    wait(5_000)
    await tokens.check(used.secret, START + 5_000)
    await tokens.flush()
    wait(10 * WEEK)
    expect(await tokens.removeEnded()).toBe(0)
    tokens.expectIdle(20 * WEEK)
    tokens.expectIdle(WEEK)
    expect(await tokens.removeEnded()).toBe(0)
    wait(11 * WEEK - 5_000)
    expect(await tokens.removeEnded()).toBe(0)
    wait(1)
    expect(await tokens.removeEnded()).toBe(1100)
    expect((await tokens.list({}, { limit: 9 })).map(({ kind }) => kind).sort()).toEqual(['personal', 'refresh'])
  })

  test('ends with all others of its account, or of its kind', async () => {
    const { tokens, recorded } = openAccounts()
    const refresh = await tokens.create({ ...TOKEN, kind: 'refresh' })
    const personal = await tokens.create(TOKEN)
    const other = await tokens.create({ ...TOKEN, account: 'other' })
    expect(await tokens.revokeAll({ account: 'jo', kind: 'refresh' }, ACTOR)).toBe(1)
    expect(recorded.at(-1)).toBe('root tokens of jo: done: revoked all of kind refresh')
    const alive = async () => {
      const found = [refresh, personal, other].map(({ secret }) => tokens.check(secret, START))
      return (await Promise.all(found)).map((row) => row?.id)
    }
    expect(await alive()).toEqual([undefined, 'id-002', 'id-003'])
    expect(await tokens.revokeAll({ account: 'jo' }, ACTOR)).toBe(1)
    expect(await alive()).toEqual([undefined, undefined, 'id-003'])
  })

  test('goes a week after its end, however many do', async () => {
    const { tokens, wait } = openAccounts()
    for (let i = 0; i < 600; i++) await tokens.create({ ...TOKEN, account: `a${i % 9}`, expiresAt: START + 1 })
    await tokens.create(TOKEN)
    wait(7 * 86_400_000)
    expect(await tokens.removeEnded()).toBe(0)
    wait(2)
    expect(await tokens.removeEnded()).toBe(600)
    expect(await tokens.list({}, { limit: 1000 })).toHaveLength(1)
  })
})

describe('the last use of a token', () => {
  test('is written a little later, once a minute at most', async () => {
    const { tokens, planned } = openAccounts()
    const { secret, token } = await tokens.create(TOKEN)
    await tokens.check(secret, START, '192.0.2.7')
    await tokens.check(secret, START + 1, '192.0.2.8')
    expect(planned).toHaveLength(1)
    expect((await tokens.find(token.id))?.lastUsedAt).toBeUndefined()
    await tokens.flush()
    expect(await tokens.find(token.id)).toMatchObject({ lastUsedAt: START, lastUsedFrom: '192.0.2.7' })
    await tokens.check(secret, START + 59_999)
    expect(planned).toHaveLength(1)
    await tokens.check(secret, START + 60_000)
    expect(planned).toHaveLength(2)
    await tokens.flush()
    expect(await tokens.find(token.id)).toMatchObject({ lastUsedAt: START + 60_000, lastUsedFrom: undefined })
  })

  test('that cannot be written is no reason to refuse anybody', async () => {
    const warnings: string[] = []
    const touch = () => Promise.reject(new MetadataError('no-space', 'full'))
    const uses = createUses({ tokens: { touch }, later: () => {}, warn: (message) => warnings.push(message) })
    const { tokens } = openAccounts()
    uses.note((await tokens.create(TOKEN)).token, START, undefined)
    await uses.flush()
    expect(warnings).toEqual(['the last uses of tokens could not be written down'])
  })
})

function fromBase62(text: string): bigint {
  const digits = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
  return [...text].reduce((sum, digit) => sum * 62n + BigInt(digits.indexOf(digit)), 0n)
}
