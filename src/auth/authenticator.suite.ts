import { describe, expect, test } from 'bun:test'
import { type Authenticator, UnavailableError } from './authenticator.ts'

/** bcrypt of "123", cost 5, as `htpasswd -B` writes it. */
export const HASH_123 = '$2y$05$WuwBasGDAgr.QCbGIjKJaep4dhxeai9gNZdmBnQXqpKly57oNutya'
export const HASH_BADMIN = '$2y$05$LO.vzwpWC5LZGqThvEfznu8qhb5SGqvBSWY1J3yZ4AxtMRZ3kN5jC'

export const PASSWORDS = { '123': HASH_123, badmin: HASH_BADMIN } as const

/** What the suite needs of a source of users. */
export interface SourceUnderTest {
  authenticator: Authenticator
  /** Adds the user, or gives it another password (and only that); a source of hashes takes them from `PASSWORDS`. */
  put(name: string, password: keyof typeof PASSWORDS): Promise<void>
  remove(name: string): Promise<void>
  /** Gives a user labels, where the source has any. */
  label?: (name: string, labels: Record<string, string[]>) => Promise<void>
  /** From now on the source cannot answer. */
  breakDown?: () => Promise<void>
}

export interface SuiteOptions {
  /** What an empty password is to this source: most know the user and say no; a directory does not ask at all. */
  emptyPassword?: 'wrong-password' | 'no-match'
  /** A source whose names are not told apart by case (a directory). */
  foldsCase?: boolean
}

/** The contract of an Authenticator: every source runs it. */
export function authenticatorSuite(
  name: string,
  make: () => Promise<SourceUnderTest>,
  { emptyPassword = 'wrong-password', foldsCase = false }: SuiteOptions = {},
): void {
  describe(`${name} as a source of users`, () => {
    async function start() {
      const source = await make()
      await source.put('test', '123')
      return source
    }

    async function refusal(answer: Promise<unknown>): Promise<unknown> {
      return await answer.then(
        (value) => value,
        (error: unknown) => error,
      )
    }

    test('lets the right password in', async () => {
      const { authenticator } = await start()
      expect(await authenticator.authenticate('test', '123')).toMatchObject({ kind: 'yes' })
    })

    test.each([
      ['a wrong password is wrong', 'test', '124', 'wrong-password'],
      ['an empty password is nobody’s', 'test', '', emptyPassword],
      ['an unknown user is somebody else’s', 'nobody', '123', 'no-match'],
      ['space counts in names', 'test 2', '123', 'no-match'],
      ['nobody is somebody else’s', '', '', 'no-match'],
      ['nobody with a password is somebody else’s', '', '123', 'no-match'],
      ['a name of the language is no user', 'constructor', '123', 'no-match'],
      ['nor is the other one', '__proto__', '123', 'no-match'],
      ['a wildcard is no user', 'te*', '123', 'no-match'],
      ['nor is one with a NUL in it', 'test\0', '123', 'no-match'],
    ] as const)('%s', async (_, account, password, expected) => {
      const { authenticator } = await start()
      expect(await authenticator.authenticate(account, password)).toBe(expected)
    })

    test.if(!foldsCase)('case matters in names', async () => {
      const { authenticator } = await start()
      expect(await authenticator.authenticate('Test', '123')).toBe('no-match')
    })

    test('a changed password counts at once, and so does a removed user', async () => {
      const { authenticator, put, remove } = await start()
      expect(await authenticator.authenticate('test', '123')).toMatchObject({ kind: 'yes' })
      await put('test', 'badmin')
      expect(await authenticator.authenticate('test', '123')).toBe('wrong-password')
      expect(await authenticator.authenticate('test', 'badmin')).toMatchObject({ kind: 'yes' })
      await remove('test')
      expect(await authenticator.authenticate('test', 'badmin')).toBe('no-match')
    })

    test('the labels of a user come with it', async () => {
      const { authenticator, label } = await start()
      if (label === undefined) {
        expect(await authenticator.authenticate('test', '123')).toMatchObject({ labels: {} })
        return
      }
      await label('test', { group: ['qa', 'dev'] })
      expect(await authenticator.authenticate('test', '123')).toMatchObject({ labels: { group: ['qa', 'dev'] } })
    })

    test('a user can be found without a password, with a stamp that changes when the password does', async () => {
      const { authenticator, put, remove } = await start()
      if (authenticator.find === undefined) return
      const first = await authenticator.find('test')
      expect(first?.stamp).toBeString()
      expect(await authenticator.find('test')).toEqual(first)
      expect(await authenticator.find('nobody')).toBeUndefined()
      expect(await authenticator.find('')).toBeUndefined()
      expect(await authenticator.find('te*')).toBeUndefined()
      await put('test', 'badmin')
      const changed = await authenticator.find('test')
      // A directory does not show passwords: its stamp may stay, which the source says by an empty one.
      if (first?.stamp !== '') expect(changed?.stamp).not.toBe(first?.stamp)
      await remove('test')
      expect(await authenticator.find('test')).toBeUndefined()
    })

    test('a source that cannot answer throws, and lets nobody in', async () => {
      const { authenticator, breakDown } = await start()
      if (breakDown === undefined) return
      expect(await authenticator.authenticate('test', '123')).toMatchObject({ kind: 'yes' })
      await breakDown()
      expect(await refusal(authenticator.authenticate('test', '123'))).toBeInstanceOf(UnavailableError)
      if (authenticator.find !== undefined) {
        expect(await refusal(authenticator.find('test'))).toBeInstanceOf(UnavailableError)
      }
    })
  })
}
