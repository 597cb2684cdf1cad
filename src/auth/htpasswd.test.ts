import { afterAll, describe, expect, test } from 'bun:test'
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { HASH_123, HASH_BADMIN } from './authenticator.suite.ts'
import { hashedSuite } from './hashed.suite.ts'
import { createHtpasswdAuthenticator, parseHtpasswd } from './htpasswd.ts'
import { createPasswords, type Passwords } from './password.ts'

const folder = await mkdtemp(join(tmpdir(), 'berth-htpasswd-'))
afterAll(() => rm(folder, { recursive: true }))
let files = 0

async function fileWith(text: string, passwords: Passwords = createPasswords({ now: () => 0 })) {
  const path = join(folder, `htpasswd-${files++}`)
  await writeFile(path, text)
  const warnings: string[] = []
  const warn = (message: string) => warnings.push(message)
  return { path, warnings, source: createHtpasswdAuthenticator({ path, passwords, admin: true, warn }) }
}

hashedSuite('htpasswd', async (passwords) => {
  const { path, source } = await fileWith('', passwords)
  const users = new Map<string, string>()
  // As an editor does: a new file in the place of the old.
  const write = async () => {
    await writeFile(`${path}.new`, [...users].map(([name, hash]) => `${name}:${hash}\n`).join(''))
    await rename(`${path}.new`, path)
  }
  return {
    authenticator: source,
    async put(name, hash) {
      users.set(name, hash)
      await write()
    },
    async remove(name) {
      users.delete(name)
      await write()
    },
    breakDown: () => rm(path),
  }
})

describe('an htpasswd file', () => {
  test.each([
    ['may have comments and blank lines', `# users\n\n   \ntest:${HASH_123}\n`],
    ['may have Windows line ends', `x:y\r\ntest:${HASH_123}\r\n`],
    ['may end without a line end', `test:${HASH_123}`],
    ['may have space before a name', `  test:${HASH_123}\n`],
    ['counts the last of two lines with one name', `test:${HASH_BADMIN}\ntest:${HASH_123}\n`],
  ])('%s', async (_, text) => {
    const { source } = await fileWith(text)
    expect(await source.authenticate('test', '123')).toEqual({ kind: 'yes', labels: {}, admin: true })
  })

  test('with a line that has no colon cannot be read, and says which line', async () => {
    expect(() => parseHtpasswd(`test:${HASH_123}\noops\n`)).toThrow('line 2 of the htpasswd file is not "name:hash"')
    const { source } = await fileWith(`test:${HASH_123}\noops\n`)
    await expect(source.authenticate('test', '123')).rejects.toThrow('the htpasswd file cannot be read')
  })

  test('that was missing is read once it is there', async () => {
    const { source, path } = await fileWith('')
    await rm(path)
    await expect(source.authenticate('test', '123')).rejects.toThrow('the htpasswd file cannot be read')
    await writeFile(path, `test:${HASH_123}\n`)
    expect(await source.authenticate('test', '123')).toMatchObject({ kind: 'yes' })
  })

  test('with a hash that is not bcrypt is read with a warning that does not show the hash', async () => {
    const { source, warnings } = await fileWith('old:$apr1$r31.....$HqJZimcKQFAMYayBlzkrA/\n')
    await source.authenticate('x', 'y')
    await source.authenticate('x', 'y')
    expect(warnings).toEqual(['this user cannot log in: the password hash is not bcrypt'])
  })

  const htpasswd = Bun.which('htpasswd')
  test.skipIf(htpasswd === null)('that Apache’s htpasswd wrote lets its user in (package apache2-utils)', async () => {
    const { source, path } = await fileWith('')
    const long = 'x'.repeat(100)
    const made = Bun.spawnSync([htpasswd ?? '', '-bcB', '-C', '4', path, 'real', long])
    expect(made.exitCode).toBe(0)
    expect(await source.authenticate('real', long)).toMatchObject({ kind: 'yes' })
    expect(await source.authenticate('real', 'x'.repeat(71))).toBe('wrong-password')
  })
})
