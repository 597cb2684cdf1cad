import { describe, expect, test } from 'bun:test'
import { authenticatorSuite, HASH_123, PASSWORDS, type SourceUnderTest } from './authenticator.suite.ts'
import { createPasswords, hashPassword, type Passwords } from './password.ts'

export interface HashedSource extends Omit<SourceUnderTest, 'put'> {
  /** Adds the user, or gives it another hash (and only that). */
  put(name: string, hash: string): Promise<void>
}

/** The contract of an Authenticator that keeps hashes of passwords and compares them through `Passwords`. */
export function hashedSuite(
  name: string,
  make: (passwords: Passwords) => Promise<HashedSource>,
  options: Parameters<typeof authenticatorSuite>[2] = {},
): void {
  authenticatorSuite(
    name,
    async () => {
      const source = await make(createPasswords({ now: () => 0 }))
      return { ...source, put: (user, password) => source.put(user, PASSWORDS[password]) }
    },
    options,
  )

  describe(`${name} as a source of hashes`, () => {
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
      return { ...source, verifications: () => verifications }
    }

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
      if (hash !== '') expect(await authenticator.authenticate('test', hash)).toBe('wrong-password')
    })

    test('only the first 72 bytes of a password count, as everywhere with bcrypt', async () => {
      const { authenticator, put } = await start()
      await put('test', await hashPassword('é'.repeat(36)))
      expect(await authenticator.authenticate('test', `${'é'.repeat(36)}tail`)).toMatchObject({ kind: 'yes' })
      expect(await authenticator.authenticate('test', 'é'.repeat(35))).toBe('wrong-password')
    })
  })
}
