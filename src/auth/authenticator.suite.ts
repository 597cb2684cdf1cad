import { describe, expect, test } from 'bun:test'
import { type Authenticator, UnavailableError } from './authenticator.ts'
import { createPasswords, hashPassword, type Passwords } from './password.ts'

/** What the suite needs of a source of users. */
export interface SourceUnderTest {
  authenticator: Authenticator
  /** Adds the user, or gives it another hash. */
  put(name: string, hash: string): Promise<void>
  remove(name: string): Promise<void>
  /** From now on the source cannot answer. */
  breakDown?: () => Promise<void>
}

/** bcrypt of "123", cost 5, as `htpasswd -B` writes it. */
export const HASH_123 = '$2y$05$WuwBasGDAgr.QCbGIjKJaep4dhxeai9gNZdmBnQXqpKly57oNutya'
export const HASH_BADMIN = '$2y$05$LO.vzwpWC5LZGqThvEfznu8qhb5SGqvBSWY1J3yZ4AxtMRZ3kN5jC'

/** The contract of an Authenticator: every source runs it. */
export function authenticatorSuite(name: string, make: (passwords: Passwords) => Promise<SourceUnderTest>): void {
  describe(`${name} as a source of users`, () => {
    async function start() {
      let verifications = 0
      const passwords = createPasswords({
        now: () => 0,
        verify: async (password, hash) => {
          verifications++
          return await Bun.password.verify(password, hash)
        },
      })
      const source = await make(passwords)
      await source.put('test', HASH_123)
      return { ...source, passwords, verifications: () => verifications }
    }

    test('lets the right password in', async () => {
      const { authenticator } = await start()
      expect(await authenticator.authenticate('test', '123')).toMatchObject({ kind: 'yes', labels: {} })
    })

    test.each([
      ['a wrong password is wrong', 'test', '124', 'wrong-password'],
      ['an empty password is wrong', 'test', '', 'wrong-password'],
      ['an unknown user is somebody else’s', 'nobody', '123', 'no-match'],
      ['case matters in names', 'Test', '123', 'no-match'],
      ['space counts in names', ' test', '123', 'no-match'],
      ['nobody is somebody else’s', '', '', 'no-match'],
      ['nobody with a password is somebody else’s', '', '123', 'no-match'],
      ['a name of the language is no user', 'constructor', '123', 'no-match'],
      ['nor is the other one', '__proto__', '123', 'no-match'],
    ] as const)('%s', async (_, account, password, expected) => {
      const { authenticator } = await start()
      expect(await authenticator.authenticate(account, password)).toBe(expected)
    })

    test('a changed password counts at once, and so does a removed user', async () => {
      const { authenticator, put, remove } = await start()
      expect(await authenticator.authenticate('test', '123')).toMatchObject({ kind: 'yes' })
      await put('test', HASH_BADMIN)
      expect(await authenticator.authenticate('test', '123')).toBe('wrong-password')
      expect(await authenticator.authenticate('test', 'badmin')).toMatchObject({ kind: 'yes' })
      await remove('test')
      expect(await authenticator.authenticate('test', 'badmin')).toBe('no-match')
    })

    test('a success is remembered, a failure is not', async () => {
      const { authenticator, verifications } = await start()
      for (let i = 0; i < 5; i++) await authenticator.authenticate('test', '123')
      expect(verifications()).toBe(1)
      for (let i = 0; i < 3; i++) await authenticator.authenticate('test', 'wrong')
      expect(verifications()).toBe(4)
    })

    test.each([
      ['MD5', '$apr1$r31.....$HqJZimcKQFAMYayBlzkrA/'],
      ['SHA-1', '{SHA}QL0AFWMIX8NRZTKeof9cXsvbvu8='],
      ['crypt', 'rqXexS6ZhobKA'],
      ['plain text', '123'],
      ['empty', ''],
      ['a damaged bcrypt hash', HASH_123.slice(0, -1)],
      ['bcrypt of an impossible cost', HASH_123.replace('$05$', '$99$')],
    ])('a hash that is %s matches no password', async (_, hash) => {
      const { authenticator, put } = await start()
      await put('test', hash)
      expect(await authenticator.authenticate('test', '123')).toBe('wrong-password')
      expect(await authenticator.authenticate('test', hash)).toBe('wrong-password')
    })

    test('only the first 72 bytes of a password count, as everywhere with bcrypt', async () => {
      const { authenticator, put } = await start()
      await put('test', await hashPassword('é'.repeat(36)))
      expect(await authenticator.authenticate('test', `${'é'.repeat(36)}tail`)).toMatchObject({ kind: 'yes' })
      expect(await authenticator.authenticate('test', 'é'.repeat(35))).toBe('wrong-password')
    })

    test('a source that cannot answer throws, and lets nobody in', async () => {
      const { authenticator, breakDown } = await start()
      if (breakDown === undefined) return
      expect(await authenticator.authenticate('test', '123')).toMatchObject({ kind: 'yes' })
      await breakDown()
      await expect(authenticator.authenticate('test', '123')).rejects.toBeInstanceOf(UnavailableError)
    })
  })
}
