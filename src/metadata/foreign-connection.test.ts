import { describe, expect, test } from 'bun:test'
import { parseConnection, type ServerConnection } from './foreign-connection.ts'

const mysql: ServerConnection = {
  ...{ adapter: 'mysql', hostname: '127.0.0.1', port: 3306, socket: undefined, username: 'u', password: 'p' },
  ...{ database: 'd', tls: { mode: 'off' }, connectMs: 5_000, queryMs: 5_000, parameters: {} },
}
const postgres: ServerConnection = {
  ...mysql,
  ...{ adapter: 'postgres', hostname: 'localhost', port: 5432, tls: { mode: 'require' } },
}

describe('a connection string of go-sql-driver', () => {
  test.each<[sentence: string, text: string, expected: Partial<ServerConnection>]>([
    ['has a host and a port', 'u:p@tcp(db:3307)/d', { hostname: 'db', port: 3307 }],
    ['has a port of its own accord', 'u:p@tcp(db)/d', { hostname: 'db' }],
    ['has an address of its own accord', 'u:p@tcp/d', {}],
    ['has a protocol of its own accord', 'u:p@/d', {}],
    ['may name an IPv6 address', 'u:p@tcp([de:ad:be:ef::ca:fe]:80)/d', { hostname: 'de:ad:be:ef::ca:fe', port: 80 }],
    ['may name one without brackets', 'u:p@tcp(de:ad:be:ef::ca:fe)/d', { hostname: 'de:ad:be:ef::ca:fe' }],
    ['may name a socket', 'u:p@unix(/run/m.sock)/d', { hostname: 'localhost', socket: '/run/m.sock' }],
    ['may name the usual socket', 'u:p@unix/d', { hostname: 'localhost', socket: '/tmp/mysql.sock' }],
    ['may have no password', 'u@/d', { password: '' }],
    ['may have an empty password', 'u:@/d', { password: '' }],
    ['may have @ and : and / in the password', 'u:a@b:c/d@e@tcp(db)/d', { password: 'a@b:c/d@e', hostname: 'db' }],
    ['may have brackets in the password', 'u:p@ss(word)@tcp(db)/d', { password: 'p@ss(word)', hostname: 'db' }],
    ['takes the password as it is', 'u:a%40b+c@/d', { password: 'a%40b+c' }],
    ['may have ? in the password', 'u:a?b@/d', { password: 'a?b' }],
    ['may escape the database', 'u:p@/d%2Fe', { database: 'd/e' }],
    ['may ask for verified TLS', 'u:p@/d?tls=true', { tls: { mode: 'verify-full' } }],
    ['may ask for it by a number', 'u:p@/d?tls=1', { tls: { mode: 'verify-full' } }],
    ['may ask for unverified TLS', 'u:p@/d?tls=skip-verify', { tls: { mode: 'require' } }],
    ['may ask for TLS where there is some', 'u:p@/d?tls=preferred', { tls: { mode: 'prefer' } }],
    ['may ask for no TLS', 'u:p@/d?tls=false', {}],
    ['may say so twice', 'u:p@/d?tls=preferred&allowFallbackToPlaintext=true', { tls: { mode: 'prefer' } }],
    ['may have times', 'u:p@/d?timeout=1m30s&readTimeout=2.5s', { connectMs: 60_000, queryMs: 2_500 }],
    ['has the smaller of two times', 'u:p@/d?readTimeout=9s&writeTimeout=500ms', { queryMs: 500 }],
    ['has usual times for 0', 'u:p@/d?timeout=0&readTimeout=0', {}],
    ['may tune what is not here', 'u:p@/d?charset=utf8mb4,utf8&parseTime=True&loc=US%2FPacific&collation=x', {}],
    ['may rule out logins that are not here', 'u:p@/d?allowOldPasswords=0&allowCleartextPasswords=false', {}],
    ['may allow the login that is', 'u:p@/d?allowNativePasswords=true', {}],
  ])('%s', (_, text, expected) => {
    expect(parseConnection('mysql', text)).toEqual({ ...mysql, ...expected })
  })

  test.each([
    ['no slash', 'u:SECRET@tcp(db:3306)', 'has no slash before the name of the database'],
    ['no user', '/d', 'names no user'],
    ['no user but a password', ':SECRET@/d', 'names no user'],
    ['no database', 'u:SECRET@tcp(db)/', 'names no database'],
    ['an address that does not end', 'u:SECRET@tcp(db/d', 'has an address without its closing bracket'],
    ['another protocol', 'u:SECRET@udp(db)/d', 'has a protocol other than tcp and unix'],
    ['a port past the last', 'u:SECRET@tcp(db:65536)/d', 'has a port that is no number'],
    ['a database with a broken escape', 'u:SECRET@/d%zz', 'has a % that is no escape (write %25)'],
    ['TLS of a name', 'u:SECRET@/d?tls=SECRET', 'has a tls other than true, false, skip-verify and preferred'],
    [
      'TLS twice over',
      'u:p@/d?tls=true&allowFallbackToPlaintext=true',
      'allowFallbackToPlaintext cannot be honoured with this tls; write tls=preferred',
    ],
    ['passwords in clear', 'u:p@/d?allowCleartextPasswords=true', 'allowCleartextPasswords=true cannot be honoured'],
    ['old passwords', 'u:p@/d?allowOldPasswords=1', 'allowOldPasswords=1 cannot be honoured'],
    ['no native passwords', 'u:p@/d?allowNativePasswords=false', 'allowNativePasswords=false cannot be honoured'],
    ['a key of the server', 'u:p@/d?serverPubKey=SECRET', 'has the parameter serverPubKey, which cannot be honoured'],
    [
      'another way to verify',
      'u:p@/d?tls=true&tls-verify=ca',
      'has the parameter tls-verify, which cannot be honoured',
    ],
    ['a system variable', 'u:p@/d?sql_mode=SECRET', 'has the parameter sql_mode, which cannot be honoured'],
    ['a parameter in other letters', 'u:p@/d?TLS=true', 'has the parameter TLS, which cannot be honoured'],
    ['a parameter without value', 'u:p@/d?tls', 'has a parameter without a value'],
    ['a flag that is none', 'u:p@/d?allowOldPasswords=yes', 'allowOldPasswords is neither true nor false'],
    ['a time that is none', 'u:p@/d?timeout=5', 'timeout is no duration such as 5s'],
  ])('with %s is refused', (_, text, problem) => {
    expect(() => parseConnection('mysql', text)).toThrow(new Error(`the connection string for mysql: ${problem}`))
  })
})

describe('a connection string of lib/pq', () => {
  const full = { tls: { mode: 'verify-full' } } as const
  const off = { tls: { mode: 'off' } } as const
  test.each<[sentence: string, text: string, expected: Partial<ServerConnection>]>([
    ['has TLS of its own accord', 'user=u password=p dbname=d', {}],
    ['has a database of its own accord', 'user=u password=p', { database: 'u' }],
    ['may have no password', 'user=u dbname=d', { password: '' }],
    ['may have space around =', "user = u  password='p'\n dbname =d ", {}],
    ['may have quotes', "user=u password='a b=c' dbname=d", { password: 'a b=c' }],
    ['may have escapes in quotes', String.raw`user=u password='a\'b\\c' dbname=d`, { password: String.raw`a'b\c` }],
    ['may have escapes outside', String.raw`user=u password=a\ b\'c dbname=d`, { password: "a b'c" }],
    ['may have an empty quoted password', "user=u password='' dbname=d", { password: '' }],
    ['may have @ and : in the password', 'user=u password=a@b:c/d dbname=d', { password: 'a@b:c/d' }],
    ['names the last of two', 'user=x user=u password=p dbname=d', {}],
    ['may name host and port', 'host=db port=5433 user=u password=p dbname=d', { hostname: 'db', port: 5433 }],
    [
      'may name the folder of a socket, where there is no TLS',
      'host=/run/postgresql user=u password=p dbname=d',
      { ...off, socket: '/run/postgresql/.s.PGSQL.5432' },
    ],
    ['may ask for no TLS', 'user=u password=p dbname=d sslmode=disable', off],
    ['may ask for verified TLS', 'user=u password=p dbname=d sslmode=verify-full', full],
    [
      'may bring files',
      'user=u password=p dbname=d sslmode=verify-ca sslrootcert=/ca sslcert=/c sslkey=/k sslpassword=x',
      {
        tls: {
          mode: 'verify-ca',
          authority: { path: '/ca' },
          certificate: { path: '/c' },
          key: { path: '/k' },
          passphrase: 'x',
        },
      },
    ],
    [
      'verifies the authority that it brings',
      'user=u password=p dbname=d sslmode=require sslrootcert=/ca',
      { tls: { mode: 'verify-ca', authority: { path: '/ca' } } },
    ],
    [
      'may bring what would be in files',
      'user=u password=p dbname=d sslmode=verify-full sslinline=true sslrootcert=PEM',
      { tls: { mode: 'verify-full', authority: { text: 'PEM' } } },
    ],
    ['may have a time', 'user=u password=p dbname=d connect_timeout=2', { connectMs: 2_000 }],
    [
      'leaves what it does not know to the server',
      'user=u password=p dbname=d search_path=app application_name=a fallback_application_name=b',
      { parameters: { search_path: 'app', application_name: 'a' } },
    ],
    ['may tune what is not here', 'user=u password=p dbname=d binary_parameters=yes client_encoding=utf8', {}],
    ['may be a URL', 'postgres://u:p@db:5433/d', { hostname: 'db', port: 5433 }],
    ['may be a URL with the longer name', 'postgresql://u:p@db/d', { hostname: 'db' }],
    [
      'may escape in a URL',
      'postgres://u:p%40%2F%3A%20+@db/d%2Fe',
      { hostname: 'db', password: 'p@/: +', database: 'd/e' },
    ],
    ['may have @ in a URL', 'postgres://u:a@b:c@db/d', { hostname: 'db', password: 'a@b:c' }],
    ['may have an IPv6 address in a URL', 'postgres://u:p@[::1]:5433/d', { hostname: '::1', port: 5433 }],
    [
      'may have keywords in a URL',
      'postgres://db/d?user=u&password=p+q&sslmode=verify-full',
      { ...full, hostname: 'db', password: 'p q' },
    ],
    [
      'may have a socket in a URL',
      'postgres:///d?host=/run&user=u&password=p',
      { ...off, socket: '/run/.s.PGSQL.5432' },
    ],
  ])('%s', (_, text, expected) => {
    expect(parseConnection('postgres', text)).toEqual({ ...postgres, ...expected })
  })

  test.each([
    ['no user', 'dbname=d', 'names no user'],
    ['no =', 'user=u SECRET', 'is no list of key=value'],
    ['a quote that does not end', "user=u password='SECRET", 'is no list of key=value'],
    ['a text behind a quote', "user=u password='SECRET'x", 'is no list of key=value'],
    ['several hosts', 'host=a,b user=u', 'names several hosts'],
    ['a port that is none', 'port=SECRET user=u', 'has a port that is no number'],
    [
      'TLS where there is some',
      'user=u sslmode=prefer',
      'has an sslmode other than disable, require, verify-ca and verify-full',
    ],
    [
      'TLS of another name',
      'user=u sslmode=SECRET',
      'has an sslmode other than disable, require, verify-ca and verify-full',
    ],
    ['half a pair', 'user=u sslcert=/c', 'has one of sslcert and sslkey only'],
    ['no name in TLS', 'user=u sslsni=0', 'has an sslsni other than 1'],
    [
      'a mistake behind a socket',
      'host=/run user=u sslmode=nonsense',
      'has an sslmode other than disable, require, verify-ca and verify-full',
    ],
    ['a file of passwords', 'user=u passfile=/p', 'has the parameter passfile, which cannot be honoured'],
    ['a list of revoked certificates', 'user=u sslcrl=/c', 'has the parameter sslcrl, which cannot be honoured'],
    ['Kerberos', 'user=u krbspn=x', 'has the parameter krbspn, which cannot be honoured'],
    ['another encoding', 'user=u client_encoding=latin1', 'has a client_encoding other than UTF8'],
    ['a time that is none', 'user=u connect_timeout=5s', 'has a connect_timeout that is no number of seconds'],
    ['a broken escape', 'postgres://u:SECRET%zz@db/d', 'has a % that is no escape (write %25)'],
    ['a fragment', 'postgres://u:p@db/d#SECRET', 'is no URL such as postgres://user:password@host:5432/database'],
  ])('with %s is refused', (_, text, problem) => {
    expect(() => parseConnection('postgres', text)).toThrow(new Error(`the connection string for postgres: ${problem}`))
  })
})

describe('a connection string of go-sqlite3', () => {
  const file = { adapter: 'sqlite', path: '/a/b.db', mayWrite: true, busyMs: 5_000 } as const
  test.each([
    ['is a path', '/a/b.db', {}],
    ['may be relative', 'b.db', { path: 'b.db' }],
    ['takes a path as it is', '/a/b%20c#d', { path: '/a/b%20c#d' }],
    ['may be a URI', 'file:/a/b.db', {}],
    ['may be a URI with an empty host', 'file:///a/b.db', {}],
    ['may be a URI of this host', 'file://localhost/a/b.db', {}],
    ['may be a relative URI', 'file:b.db', { path: 'b.db' }],
    ['may have escapes in a URI', 'file:/a/b%20c%3Fd', { path: '/a/b c?d' }],
    ['may be for reading only', 'file:/a/b.db?mode=ro', { mayWrite: false }],
    ['may have a time', '/a/b.db?_busy_timeout=100', { busyMs: 100 }],
    ['may not wait', '/a/b.db?_timeout=0', { busyMs: 0 }],
    ['may tune what is not here', 'file:/a/b.db?cache=shared&_foreign_keys=on&_journal_mode=WAL', {}],
  ])('%s', (_, text, expected) => {
    expect(parseConnection('sqlite3', text)).toEqual({ ...file, ...expected })
  })

  test.each([
    ['no file', '', 'names no file'],
    ['memory', ':memory:', 'names no file'],
    ['memory as a mode', 'file:x?mode=memory', 'has a mode other than ro, rw and rwc'],
    ['memory as a URI', 'file::memory:?cache=shared', 'names no file'],
    ['a host', 'file://db/a', 'names a host'],
    ['users of its own', '/a?_auth&_auth_user=SECRET', 'has a parameter without a value'],
    ['a key', '/a?_key=SECRET', 'has the parameter _key, which cannot be honoured'],
    ['another file system', 'file:/a?vfs=x', 'has the parameter vfs, which cannot be honoured'],
  ])('with %s is refused', (_, text, problem) => {
    expect(() => parseConnection('sqlite3', text)).toThrow(new Error(`the connection string for sqlite3: ${problem}`))
  })
})
