import { describe, expect, test } from 'bun:test'
import { HASH_123 } from '../auth/authenticator.suite.ts'
import type { ForeignAccounts } from './foreign-accounts.ts'
import { failure, fresh, insert, open, setUp, startServers, type Type } from './foreign-rigs.fixture.ts'
import { MARIADB_LOGIN } from './mariadb.fixture.ts'
import { POSTGRES_LOGIN } from './postgres.fixture.ts'

await setUp()

for (const rig of await startServers()) {
  const { server } = rig
  if (server === undefined) continue
  describe(`the server of ${rig.type}`, () => {
    const onlyFor = (type: Type) => (title: string, body: () => Promise<void>) => {
      if (rig.type === type) test(title, body)
    }

    async function ready(connection = rig.connection): Promise<ForeignAccounts> {
      const accounts = await fresh({ ...rig, connection })
      await insert(rig, 'u', HASH_123)
      expect((await accounts.findUser('u'))?.passwordHash).toBe(HASH_123)
      return accounts
    }

    onlyFor('mysql')(
      'logs users in by a native password or none, but not by ed25519, which the client has not',
      async () => {
        await ready()
        const as = (login: string) => open({ ...rig, connection: `${login}@tcp(127.0.0.1:${server.port})/registry` })
        expect(await as('reader:secret').findUser('u')).toBeDefined()
        expect(await as('open').findUser('u')).toBeDefined()
        expect(await failure(as('modern:secret').findUser('u'))).toMatchObject({
          code: 'ERR_MYSQL_UNSUPPORTED_AUTH_PLUGIN',
        })
      },
    )

    onlyFor('mysql')('has tables in other character sets, which some names are not in', async () => {
      await rig.run('DROP TABLE IF EXISTS xorm_user')
      await rig.run(
        `CREATE TABLE xorm_user (id INTEGER, username VARCHAR(128), password_hash VARCHAR(128), labels TEXT) CHARACTER SET latin1`,
      )
      await rig.run('INSERT INTO xorm_user (id, username, password_hash) VALUES (1, ?, ?)', ['é', HASH_123])
      const accounts = open(rig)
      expect(await accounts.findUser('é')).toBeDefined()
      for (const name of ['Ð”', '😀', '?', 'е', 'e']) expect(await accounts.findUser(name)).toBeUndefined()
    })

    test('goes away and comes back', async () => {
      const accounts = await ready()
      await server.stop()
      for (let i = 0; i < 3; i++) expect(await failure(accounts.findUser('u'))).toBeInstanceOf(Error)
      await server.start()
      expect((await accounts.findUser('u'))?.passwordHash).toBe(HASH_123)
    }, 120_000)

    test('hangs, which no question outlasts, and goes on', async () => {
      const accounts = await ready(rig.hurried?.(3))
      await server.freeze()
      try {
        const asked = await Promise.all(Array.from({ length: 20 }, () => failure(accounts.findUser('u'))))
        expect(asked.every((error) => error instanceof Error)).toBe(true)
        expect(await failure(accounts.findUser('u'))).toBeInstanceOf(Error)
      } finally {
        await server.thaw()
      }
      expect((await accounts.findUser('u'))?.passwordHash).toBe(HASH_123)
    }, 120_000)

    test('hangs, and at most 256 questions wait', async () => {
      await ready()
      const accounts = open({ ...rig, connection: rig.hurried?.(1) ?? '' })
      await server.freeze()
      try {
        const asked = await Promise.all(Array.from({ length: 300 }, () => failure(accounts.findUser('u'))))
        const refused = asked.filter((error) => error?.message === 'too many queries are waiting for the database')
        expect(refused.length).toBe(300 - 256)
      } finally {
        await server.thaw()
      }
    }, 120_000)

    onlyFor('postgres')('has databases in other character sets, which some names are not in', async () => {
      await rig.run('DROP DATABASE IF EXISTS latin')
      await rig.run("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
      const accounts = open({ ...rig, connection: rig.connection.replace('dbname=postgres', 'dbname=latin') })
      for (const name of ['é', 'Д', '😀']) expect(await accounts.findUser(name)).toBeUndefined()
    })

    test('refuses the login, and no message holds the password', async () => {
      const wrong = rig.connection.replace(/p@ss/, 'wr0ng')
      const accounts = open({ ...rig, connection: wrong })
      const error = await failure(accounts.findUser('u'))
      expect(error).toBeInstanceOf(Error)
      expect(Bun.inspect(error)).not.toContain('wr0ng')
    })

    test('serves a user who may not make tables', async () => {
      await ready()
      if (rig.type === 'postgres') {
        await rig.run(
          "DO $$ BEGIN CREATE USER reader PASSWORD 'secret'; EXCEPTION WHEN duplicate_object THEN NULL; END $$",
        )
        await rig.run('GRANT SELECT ON xorm_user TO reader')
      }
      const connection =
        rig.type === 'postgres'
          ? `postgres://reader:secret@127.0.0.1:${server.port}/postgres?sslmode=disable`
          : `reader:secret@tcp(127.0.0.1:${server.port})/registry`
      const accounts = open({ ...rig, connection })
      expect((await accounts.findUser('u'))?.passwordHash).toBe(HASH_123)
      await rig.run('DROP TABLE xorm_acl_entry')
      const error = await failure(accounts.rules())
      expect(error?.message).toBe('the table is missing and cannot be made')
      expect(error?.cause).toBeInstanceOf(Error)
    })

    test('can be reached through its socket', async () => {
      await ready()
      const { user, password } = rig.type === 'postgres' ? POSTGRES_LOGIN : MARIADB_LOGIN
      const connection =
        rig.type === 'postgres'
          ? `postgres://${user}:${encodeURIComponent(password)}@:${server.port}/postgres?host=${encodeURIComponent(server.socket)}`
          : `${user}:${password}@unix(${server.socket})/registry`
      expect((await open({ ...rig, connection }).findUser('u'))?.passwordHash).toBe(HASH_123)
    })

    test('has no TLS, so that a connection that wants it is none', async () => {
      await ready()
      const plain = open(rig)
      expect(await failure(plain.findUser('u'))).toBeUndefined()
      const wishes =
        rig.type === 'postgres' ? ['sslmode=require', 'sslmode=verify-full'] : ['tls=skip-verify', 'tls=true']
      for (const wish of wishes) {
        const connection =
          rig.type === 'postgres' ? rig.connection.replace('sslmode=disable', wish) : `${rig.connection}&${wish}`
        expect(await failure(open({ ...rig, connection }).findUser('u'))).toBeInstanceOf(Error)
      }
    })

    test('is given no password of the environment in place of an empty one', async () => {
      await ready()
      const connection =
        rig.type === 'postgres'
          ? `user=${POSTGRES_LOGIN.user} host=127.0.0.1 port=${server.port} dbname=postgres sslmode=disable`
          : `${MARIADB_LOGIN.user}@tcp(127.0.0.1:${server.port})/registry`
      const accounts = open({ ...rig, connection })
      const kept = { ...process.env }
      Object.assign(process.env, { PGPASSWORD: POSTGRES_LOGIN.password, MYSQL_PASSWORD: MARIADB_LOGIN.password })
      try {
        expect(await failure(accounts.findUser('u'))).toBeInstanceOf(Error)
      } finally {
        for (const name of ['PGPASSWORD', 'MYSQL_PASSWORD']) {
          if (kept[name] === undefined) delete process.env[name]
          else process.env[name] = kept[name]
        }
      }
    })
  })
}
