import { Database } from 'bun:sqlite'
import { describe, expect, test } from 'bun:test'
import { chmod, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { HASH_123 } from '../auth/authenticator.suite.ts'
import { failure, open, setUp } from './foreign-rigs.fixture.ts'

const { folder } = await setUp()

describe('a file of SQLite', () => {
  function file(name: string, user?: string): string {
    const path = join(folder, name)
    const database = new Database(path)
    database.run('CREATE TABLE xorm_user (id INTEGER PRIMARY KEY, username TEXT, password_hash TEXT, labels TEXT)')
    if (user !== undefined)
      database.run('INSERT INTO xorm_user (username, password_hash) VALUES (?, ?)', [user, HASH_123])
    database.close()
    return path
  }
  const at = (connection: string) => open({ type: 'sqlite3', connection })

  test('that is missing is not made, and is read once it is there', async () => {
    const accounts = at(join(folder, 'later.db'))
    expect(await failure(accounts.findUser('u'))).toBeInstanceOf(Error)
    expect(await Bun.file(join(folder, 'later.db')).exists()).toBe(false)
    file('later.db', 'u')
    expect(await accounts.findUser('u')).toBeDefined()
  })

  test('that another takes the place of is read no more', async () => {
    const path = file('place.db', 'u')
    const accounts = at(path)
    expect(await accounts.findUser('u')).toBeDefined()
    await rename(file('place.new', 'v'), path)
    expect(await accounts.findUser('u')).toBeUndefined()
    expect(await accounts.findUser('v')).toBeDefined()
  })

  test('is waited for while somebody writes, and given up on after a while', async () => {
    const path = file('busy.db', 'u')
    const writer = new Database(path)
    writer.run('BEGIN EXCLUSIVE')
    expect(await failure(at(`${path}?_busy_timeout=100`).findUser('u'))).toMatchObject({ code: 'SQLITE_BUSY' })
    const patient = at(path).findUser('u')
    await Bun.sleep(50)
    writer.run('COMMIT')
    expect(await patient).toBeDefined()
    writer.close()
  })

  test('gets no table where it may only be read', async () => {
    const path = file('mode.db', 'u')
    expect((await failure(at(`file:${path}?mode=ro`).rules()))?.message).toBe('the table is missing and cannot be made')
    expect(await at(`file:${path}`).rules()).toEqual([])
    expect(await at(`file:${path}?mode=ro`).rules()).toEqual([])
  })

  test.skipIf(process.getuid?.() === 0)('gets no table where its permissions forbid it', async () => {
    const path = file('mine.db', 'u')
    await chmod(path, 0o444)
    expect((await failure(at(path).rules()))?.message).toBe('the table is missing and cannot be made')
  })

  test('has an entry that is no JSON, which is named and not shown', async () => {
    const path = file('json.db')
    const accounts = at(path)
    await accounts.rules()
    const writer = new Database(path)
    writer.run('INSERT INTO xorm_acl_entry (acl_entry, seq) VALUES (?, ?)', ['{SECRET', 7])
    writer.close()
    expect((await failure(accounts.rules()))?.message).toBe('the acl_entry whose seq is 7 is no JSON')
  })

  test('has more rules than are taken', async () => {
    const path = file('many.db')
    const accounts = at(path)
    await accounts.rules()
    const writer = new Database(path)
    const add = writer.prepare('INSERT INTO xorm_acl_entry (acl_entry, seq) VALUES (?, ?)')
    writer.transaction(() => {
      for (let seq = 0; seq < 10_001; seq++) add.run('{}', seq)
    })()
    expect((await failure(accounts.rules()))?.message).toBe('xorm_acl_entry has more than 10000 rows')
    writer.run('DELETE FROM xorm_acl_entry WHERE seq = 0')
    add.finalize()
    writer.close()
    expect((await accounts.rules()).length).toBe(10_000)
  })
})
