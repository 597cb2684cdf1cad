import { afterAll, afterEach, describe, expect, test } from 'bun:test'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makePair } from '../../test/certificates.ts'
import { findProgram } from '../../test/programs.ts'
import { type ForeignAccounts, openForeignAccounts } from './foreign-accounts.ts'
import { findMariadb, findPostgres } from './foreign-servers.fixture.ts'
import { MARIADB_LOGIN, startMariadb } from './mariadb.fixture.ts'
import { POSTGRES_LOGIN, startPostgres } from './postgres.fixture.ts'

const folder = await mkdtemp(join(tmpdir(), 'berth-foreign-tls-'))
const endings: (() => Promise<void>)[] = [() => rm(folder, { recursive: true })]
afterAll(async () => {
  for (const end of endings.reverse()) await end()
})

const opened: ForeignAccounts[] = []
afterEach(async () => {
  for (const accounts of opened.splice(0)) await accounts.close()
})

/** Whether an account can be looked for, or the code of what prevents it. */
async function ask(type: 'mysql' | 'postgres', connection: string): Promise<unknown> {
  const accounts = openForeignAccounts({ type, connection })
  opened.push(accounts)
  try {
    return (await accounts.findUser('nobody')) ?? 'answered'
  } catch (error) {
    return error instanceof Error && 'code' in error ? error.code : String(error)
  }
}

/** Runs `body` where the environment turns verification off for everything that does not insist. */
async function carelessly(body: () => Promise<unknown>): Promise<unknown> {
  const kept = process.env.NODE_TLS_REJECT_UNAUTHORIZED
  process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0'
  try {
    return await body()
  } finally {
    if (kept === undefined) delete process.env.NODE_TLS_REJECT_UNAUTHORIZED
    else process.env.NODE_TLS_REJECT_UNAUTHORIZED = kept
  }
}

const UNKNOWN_AUTHORITY = /DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_VERIFY|UNABLE_TO_GET_ISSUER/

const openssl = findProgram('openssl')
const mariadb = findMariadb()
const postgres = findPostgres()
const missing = [
  ...(openssl === undefined ? ['openssl'] : []),
  ...(mariadb === undefined ? ['mariadb-server'] : []),
  ...(postgres === undefined ? ['postgresql-15'] : []),
]

if (openssl === undefined || mariadb === undefined || postgres === undefined) {
  const title = `TLS to a database [needs ${missing.join(', ')}: apt-get install ${missing.join(' ')}]`
  if (process.env.BERTH_TEST_CLIENTS !== 'required') test.skip(title, () => undefined)
  else {
    test(title, () => {
      throw new Error(`BERTH_TEST_CLIENTS=required, but ${missing.join(', ')} is not installed`)
    })
  }
} else {
  const pair = await makePair(join(folder, 'server'), { names: ['DNS:localhost'] })
  const other = await makePair(join(folder, 'other'), { names: ['DNS:localhost'], commonName: 'other' })
  const [my, pg] = [await startMariadb(mariadb, pair), await startPostgres(postgres, pair)]
  endings.push(my.remove, pg.remove)

  const mysql = (host: string, tls: string) => {
    const { user, password, database } = MARIADB_LOGIN
    return `${user}:${password}@tcp(${host}:${my.port})/${database}?tls=${tls}`
  }
  const pq = (host: string, more: string) => {
    const { user, password, database } = POSTGRES_LOGIN
    return `host=${host} port=${pg.port} user=${user} password='${password.replace(/[\\']/g, '\\$&')}' dbname=${database} ${more}`
  }

  describe('TLS to MariaDB', () => {
    test.each(['skip-verify', 'preferred', 'false'])('tls=%s connects to any server', async (tls) => {
      expect(await ask('mysql', mysql('127.0.0.1', tls))).toBe('answered')
    })

    test('tls=true connects only to one that the system trusts', async () => {
      expect(await ask('mysql', mysql('localhost', 'true'))).toMatch(UNKNOWN_AUTHORITY)
      expect(await carelessly(() => ask('mysql', mysql('localhost', 'true')))).toMatch(UNKNOWN_AUTHORITY)
    })
  })

  describe('TLS to PostgreSQL', () => {
    const own = `sslrootcert=${pair.certificate}`
    const foreign = `sslrootcert=${other.certificate}`
    test.each([
      ['require takes any', 'localhost', 'sslmode=require', 'answered'],
      ['what is not said is require', 'localhost', '', 'answered'],
      ['verify-full takes the authority that is given', 'localhost', `sslmode=verify-full ${own}`, 'answered'],
      ['verify-ca does so, too', 'localhost', `sslmode=verify-ca ${own}`, 'answered'],
      ['verify-ca does not ask for the name', '127.0.0.1', `sslmode=verify-ca ${own}`, 'answered'],
      ['disable is disabled', 'localhost', 'sslmode=disable', 'answered'],
      ['verify-full asks for the name', '127.0.0.1', `sslmode=verify-full ${own}`, /ALTNAME/],
      ['verify-full takes no other authority', 'localhost', `sslmode=verify-full ${foreign}`, UNKNOWN_AUTHORITY],
      ['verify-ca takes no other authority', 'localhost', `sslmode=verify-ca ${foreign}`, UNKNOWN_AUTHORITY],
      ['require with an authority takes no other', 'localhost', `sslmode=require ${foreign}`, UNKNOWN_AUTHORITY],
      ['verify-full takes what the system trusts', 'localhost', 'sslmode=verify-full', UNKNOWN_AUTHORITY],
      ['an authority that cannot be read is none', 'localhost', 'sslmode=verify-full sslrootcert=/nowhere', 'ENOENT'],
    ])('%s', async (_, host, more, expected) => {
      const answer = await ask('postgres', pq(host, more))
      if (expected instanceof RegExp) expect(answer).toMatch(expected)
      else expect(answer).toBe(expected)
    })

    test('the environment does not turn verification off', async () => {
      const careless = (more: string) => carelessly(() => ask('postgres', pq('localhost', more)))
      expect(await careless('sslmode=verify-full')).toMatch(UNKNOWN_AUTHORITY)
      expect(await careless(`sslmode=verify-ca ${foreign}`)).toMatch(UNKNOWN_AUTHORITY)
    })
  })
}
