import { describe, expect, test } from 'bun:test'
import { HASH_123, HASH_BADMIN } from '../auth/authenticator.suite.ts'
import { hashedSuite } from '../auth/hashed.suite.ts'
import { createSqlAuthenticator } from '../auth/sql.ts'
import { failure, fresh, insert, open, setUp, sqliteRig, startServers } from './foreign-rigs.fixture.ts'

const { folder } = await setUp()
const rigs = [sqliteRig(folder), ...(await startServers())]

for (const rig of rigs) {
  hashedSuite(
    `xorm_auth (${rig.type})`,
    async (passwords) => {
      const accounts = await fresh(rig)
      return {
        authenticator: createSqlAuthenticator({ accounts, passwords }),
        async put(name, hash) {
          const [{ count } = {}] = await rig.run('SELECT COUNT(*) AS count FROM xorm_user WHERE username = ?', [name])
          if (Number(count) === 0) await insert(rig, name, hash)
          else await rig.run('UPDATE xorm_user SET password_hash = ? WHERE username = ?', [hash, name])
        },
        async remove(name) {
          await rig.run('DELETE FROM xorm_user WHERE username = ?', [name])
        },
        async label(name, labels) {
          await rig.run(`UPDATE xorm_user SET labels = ${rig.json} WHERE username = ?`, [JSON.stringify(labels), name])
        },
        async breakDown() {
          await rig.run('ALTER TABLE xorm_user RENAME COLUMN username TO login')
        },
      }
    },
    { emptyPassword: 'no-match' },
  )

  describe(`tables in ${rig.type}`, () => {
    test('are made when they are missing, and take what the original writes', async () => {
      const accounts = await fresh(rig)
      await insert(rig, 'u', HASH_123, 'null')
      await rig.run(`INSERT INTO xorm_acl_entry (acl_entry, seq) VALUES (${rig.json}, ?)`, [
        '{"Match":{},"Actions":["*"]}',
        1,
      ])
      expect(await accounts.findUser('u')).toEqual({ passwordHash: HASH_123, labels: {} })
      expect(await accounts.rules()).toEqual([{ Match: {}, Actions: ['*'] }])
    })

    test('have several rows of a name, of which the newest counts', async () => {
      const accounts = await fresh(rig)
      for (const hash of [HASH_BADMIN, HASH_BADMIN, HASH_123]) await insert(rig, 'u', hash)
      expect((await accounts.findUser('u'))?.passwordHash).toBe(HASH_123)
    })

    test.each([
      ['u with a space', 'u '],
      ['U', 'U'],
      ['u with an accent', 'ú'],
      ['u with a NUL', 'u\0'],
      ['nobody', ''],
      ['condition', "u' OR '1'='1"],
      ['half a character', '\ud800'],
      ['emoji', '😀'],
      ['long name', 'x'.repeat(10_000)],
    ])('hold no %s, only u', async (_, name) => {
      const accounts = await fresh(rig)
      await insert(rig, 'u', HASH_123)
      await insert(rig, '\ufffd', HASH_123)
      expect(await accounts.findUser(name)).toBeUndefined()
    })

    test('hold names that differ in case or accents, newer ones too', async () => {
      const accounts = await fresh(rig)
      await insert(rig, 'u', HASH_123)
      for (const name of ['U', 'ú', 'ü']) await insert(rig, name, HASH_BADMIN)
      expect((await accounts.findUser('u'))?.passwordHash).toBe(HASH_123)
      expect((await accounts.findUser('ü'))?.passwordHash).toBe(HASH_BADMIN)
    })

    test('hold names that are not Latin', async () => {
      const accounts = await fresh(rig)
      await insert(rig, 'Дмитрий', HASH_123, JSON.stringify({ группа: ['разработка', ''] }))
      expect(await accounts.findUser('Дмитрий')).toEqual({
        passwordHash: HASH_123,
        labels: { группа: ['разработка', ''] },
      })
    })

    test('may have a row without a hash, which lets nobody in', async () => {
      await rig.run('DROP TABLE IF EXISTS xorm_user')
      await rig.run(
        'CREATE TABLE xorm_user (id INTEGER, username VARCHAR(128), password_hash VARCHAR(128), labels TEXT)',
      )
      await rig.run('INSERT INTO xorm_user (id, username) VALUES (1, ?)', ['u'])
      const accounts = open(rig)
      expect(await accounts.findUser('u')).toEqual({ passwordHash: null, labels: {} })
    })

    test.each([
      ['null', {}],
      ['{}', {}],
      ['{"a":null,"b":[],"c":["1","2"]}', { a: [], b: [], c: ['1', '2'] }],
    ])('may have the labels %s', async (labels, expected) => {
      const accounts = await fresh(rig)
      await insert(rig, 'u', HASH_123, labels)
      expect((await accounts.findUser('u'))?.labels).toEqual(expected)
    })

    test.each([
      ['[]', 'the labels of a user are no map'],
      ['"SECRET"', 'the labels of a user are no map'],
      ['{"a":"SECRET"}', 'the labels of a user are no lists of texts'],
      ['{"a":[1]}', 'the labels of a user are no lists of texts'],
    ])('cannot have the labels %s', async (labels, problem) => {
      const accounts = await fresh(rig)
      await insert(rig, 'u', HASH_123, labels)
      expect((await failure(accounts.findUser('u')))?.message).toBe(problem)
    })

    test('hold rules in the order of seq, as a number', async () => {
      const accounts = await fresh(rig)
      const long = 'x'.repeat(50_000)
      const entry = (comment: string) => JSON.stringify({ match: { account: '/^é$/' }, actions: [], comment })
      for (const [comment, seq] of [
        ['ten', 10],
        [long, 9],
        ['hundred', 100],
      ] as const) {
        await rig.run(`INSERT INTO xorm_acl_entry (acl_entry, seq) VALUES (${rig.json}, ?)`, [entry(comment), seq])
      }
      expect(await accounts.rules()).toEqual([long, 'ten', 'hundred'].map((comment) => JSON.parse(entry(comment))))
    })

    test('hold an entry that is null, which is shown as it is', async () => {
      const accounts = await fresh(rig)
      await rig.run('INSERT INTO xorm_acl_entry (seq) VALUES (?)', [1])
      expect(await accounts.rules()).toEqual([null])
    })

    test('that are closed answer nothing', async () => {
      const accounts = await fresh(rig)
      await accounts.close()
      if (rig.server !== undefined) expect(await failure(accounts.findUser('u'))).toBeInstanceOf(Error)
    })
  })
}
