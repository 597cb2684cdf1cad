import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { makePair } from '../../test/certificates.ts'
import { freePort } from '../../test/free-port.ts'
import { findProgram } from '../../test/programs.ts'
import { authenticatorSuite } from './authenticator.suite.ts'
import { type Authenticator, UnavailableError } from './authenticator.ts'
import {
  listen,
  PEOPLE,
  personDn,
  READER,
  type Slapd,
  SUFFIX,
  startFirewall,
  startSilence,
  startSlapd,
  UNNAMED_HOST,
} from './ldap.fixture.ts'
import { createLdapAuthenticator, type LdapOptions } from './ldap.ts'

const NEW_KEY = ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256']
const ACCOUNT = '$' + '{account}'
const BY_UID = `(uid=${ACCOUNT})`

const made: Authenticator[] = []
afterAll(async () => {
  for (const authenticator of made) await authenticator.close?.()
})

/** Milliseconds for each question, where the time is not what is tested. */
const PATIENCE = 60_000

function options(changes: Partial<LdapOptions>): LdapOptions {
  return {
    servers: [],
    tls: 'none',
    insecureTlsSkipVerify: false,
    caCertificate: undefined,
    bindDn: '',
    bindPasswordFile: undefined,
    initialBindAsUser: false,
    base: PEOPLE,
    filter: BY_UID,
    labels: {},
    timeoutMs: PATIENCE,
    ...changes,
  }
}

function make(changes: Partial<LdapOptions>, warnings: [string, Record<string, unknown>][] = []): Authenticator {
  const warn = (message: string, fields: Record<string, unknown>) => void warnings.push([message, fields])
  const authenticator = createLdapAuthenticator({ ...options(changes), warn })
  made.push(authenticator)
  return authenticator
}

/** The message of the UnavailableError with which a question ends; anything else is given back as it is. */
async function refusal(answer: Promise<unknown> | undefined): Promise<unknown> {
  try {
    return await answer
  } catch (error) {
    return error instanceof UnavailableError ? error.message : error
  }
}

describe('an LDAP server that is no directory', () => {
  test('and never answers is unavailable when the time is over', async () => {
    const silence = await startSilence()
    const servers = [{ host: '127.0.0.1', port: silence.port }]
    for (const tls of ['none', 'starttls', 'always'] as const) {
      expect(await refusal(make({ servers, tls, timeoutMs: 100 }).authenticate('bob', '123'))).toBe(
        'no LDAP server answers',
      )
    }
    silence.close()
  })

  test('makes more questions than may wait fail at once, and the others when the time is over', async () => {
    const silence = await startSilence()
    const authenticator = make({ servers: [{ host: '127.0.0.1', port: silence.port }], timeoutMs: 300 })
    const all = await Promise.all(
      Array.from({ length: 8 + 256 + 3 }, () => refusal(authenticator.authenticate('bob', '1'))),
    )
    expect(all.filter((text) => text === 'no LDAP server answers')).toHaveLength(8 + 256)
    expect(all.filter((text) => text === 'too many LDAP logins are waiting')).toHaveLength(3)
    silence.close()
  })

  test('is not asked about what is no account or no password', async () => {
    const authenticator = make({ servers: [{ host: '127.0.0.1', port: 1 }] })
    for (const [account, password] of [
      ['', ''],
      ['', '1'],
      ['bob', ''],
      ['bob\n', '1'],
      ['bob', '\0'],
    ] as const) {
      expect(await authenticator.authenticate(account, password)).toBe('no-match')
    }
    expect(await authenticator.find?.('bob\0')).toBeUndefined()
  })

  test('and refuses StartTLS never sees a password', async () => {
    const seen: Buffer[] = []
    const server = createServer((socket) => {
      socket.on('data', (data) => {
        seen.push(Buffer.from(data))
        // ExtendedResponse with unavailable (52), to the message whose number is the fifth byte.
        socket.write(Buffer.from([0x30, 0x0c, 2, 1, Buffer.from(data)[4] ?? 0, 0x78, 7, 0x0a, 1, 52, 4, 0, 4, 0]))
      })
    })
    const port = await listen(server)
    const warnings: [string, Record<string, unknown>][] = []
    const given = { tls: 'starttls', initialBindAsUser: true, bindDn: personDn(ACCOUNT) } as const
    const authenticator = make({ ...given, servers: [{ host: '127.0.0.1', port }] }, warnings)
    expect(await refusal(authenticator.authenticate('bob', 'sesame'))).toBe('no LDAP server answers')
    expect(seen).toHaveLength(1)
    expect(Buffer.concat(seen).toString('latin1')).toContain('1.3.6.1.4.1.1466.20037')
    expect(Buffer.concat(seen).toString('latin1')).not.toContain('sesame')
    expect(warnings.map(([message]) => message)).toEqual(['this LDAP server does not answer'])
    server.close()
  })
})

const missing = ['slapd', 'openssl'].filter((name) => findProgram(name) === undefined)
const remedy = `needs ${missing.join(', ')}: apt-get install ${missing.join(' ')}`
if (missing.length > 0 && process.env.BERTH_TEST_CLIENTS === 'required') {
  test('OpenLDAP', () => {
    throw new Error(`BERTH_TEST_CLIENTS=required, but this ${remedy}`)
  })
}

describe.skipIf(missing.length > 0)(missing.length > 0 ? `OpenLDAP [${remedy}]` : 'OpenLDAP', () => {
  let slapd: Slapd
  beforeAll(async () => {
    slapd = await startSlapd()
    await slapd.put({ uid: 'bob', password: '123', mail: 'bob@example.org' })
    await slapd.put({ uid: 'alice', password: '456', mail: 'alice@example.org' })
  })
  afterAll(async () => await slapd.close())

  /** As the read-only account of the directory, without TLS. */
  function directory(changes: Partial<LdapOptions> = {}): Partial<LdapOptions> {
    const servers = [{ host: 'localhost', port: changes.tls === 'always' ? slapd.ldaps : slapd.ldap }]
    return { servers, bindDn: READER, bindPasswordFile: slapd.passwordFile, caCertificate: slapd.ca, ...changes }
  }

  authenticatorSuite(
    'a directory',
    async () => {
      // breakDown of the test before.
      await slapd.stop()
      await slapd.start()
      await slapd.remove('test')
      const labels = { group: { attribute: 'departmentNumber', parseCn: false, lowerCase: false } }
      return {
        authenticator: make(directory({ labels })),
        put: async (uid, password) => await slapd.put({ uid, password }),
        remove: async (uid) => await slapd.remove(uid),
        label: async (uid, { group = [] }) => await slapd.setDepartments(uid, group),
        breakDown: async () => await slapd.stop(),
      }
    },
    { emptyPassword: 'no-match' },
  )

  describe('that answers', () => {
    beforeAll(async () => {
      await slapd.stop()
      await slapd.start()
    })

    test.each([
      ['without TLS', { tls: 'none' }],
      ['by StartTLS', { tls: 'starttls' }],
      ['by StartTLS to an address', { tls: 'starttls', host: '127.0.0.1' }],
      ['by LDAPS', { tls: 'always' }],
      ['by LDAPS whatever its certificate', { tls: 'always', host: UNNAMED_HOST, insecureTlsSkipVerify: true }],
    ] as [string, Partial<LdapOptions> & { host?: string }][])('lets the right password in %s', async (_, given) => {
      const { host = 'localhost', ...changes } = given
      const port = changes.tls === 'always' ? slapd.ldaps : slapd.ldap
      const authenticator = make(directory({ ...changes, servers: [{ host, port }] }))
      expect(await authenticator.authenticate('bob', '123')).toEqual({ kind: 'yes', labels: {} })
      expect(await authenticator.authenticate('bob', '124')).toBe('wrong-password')
      expect(await authenticator.find?.('bob')).toEqual({ labels: {}, stamp: '' })
    })

    test.each([
      ['another authority by StartTLS', 'starttls', 'localhost', 'other'],
      ['another authority by LDAPS', 'always', 'localhost', 'other'],
      ['an authority that the system does not know', 'always', 'localhost', 'system'],
      ['a certificate for another name', 'always', UNNAMED_HOST, 'right'],
      ['a file of authorities that is not there', 'always', 'localhost', 'absent'],
    ] as const)('is not believed with %s', async (_, tls, host, authority) => {
      const caCertificate = {
        right: slapd.ca,
        other: (await makePair(join(slapd.folder, 'other'), { newKey: NEW_KEY })).certificate,
        absent: join(slapd.folder, 'absent.pem'),
        system: undefined,
      }[authority]
      const warnings: [string, Record<string, unknown>][] = []
      const port = tls === 'always' ? slapd.ldaps : slapd.ldap
      const authenticator = make(directory({ tls, caCertificate, servers: [{ host, port }] }), warnings)
      expect(await refusal(authenticator.authenticate('bob', '123'))).toBe('no LDAP server answers')
      expect(await refusal(authenticator.find?.('bob'))).toBe('no LDAP server answers')
      expect(warnings.map(([message, { server }]) => [message, server])).toEqual([
        ['this LDAP server does not answer', `${host}:${port}`],
        ['this LDAP server does not answer', `${host}:${port}`],
      ])
    })

    test('is found with the second authority of a file', async () => {
      const { certificate } = await makePair(join(slapd.folder, 'first'), { newKey: NEW_KEY })
      const both = join(slapd.folder, 'both.pem')
      await writeFile(both, (await Bun.file(certificate).text()) + (await Bun.file(slapd.ca).text()))
      const authenticator = make(directory({ tls: 'starttls', caCertificate: both }))
      expect(await authenticator.authenticate('bob', '123')).toMatchObject({ kind: 'yes' })
    })

    test.each([
      '*',
      'b*',
      'a*(b)\\',
      ')(uid=*',
      '*)(uid=*))(|(uid=*',
      'bob)(uid=alice',
      'BOB',
      'bob ',
      ' bob',
      'b\\6fb',
    ])('knows no %p', async (account) => {
      const authenticator = make(directory())
      expect(await authenticator.authenticate(account, '123')).toBe('no-match')
      expect(await authenticator.find?.(account)).toBeUndefined()
    })

    test('finds names that are full of syntax', async () => {
      await slapd.put({ uid: 'odd', password: '123', mail: 'a*(b)\\' })
      const authenticator = make(directory({ filter: `(mail=${ACCOUNT})` }))
      expect(await authenticator.authenticate('a*(b)\\', '123')).toMatchObject({ kind: 'yes' })
      expect(await authenticator.authenticate('a*(B)\\', '123')).toBe('no-match')
    })

    test('says so when a name is spelled differently, or cannot be read', async () => {
      const warnings: [string, Record<string, unknown>][] = []
      expect(await make(directory(), warnings).authenticate('Bob', '123')).toBe('no-match')
      const hidden = `(employeeNumber=${ACCOUNT})`
      expect(await make(directory({ filter: hidden }), warnings).authenticate('bob', '123')).toBe('no-match')
      const why = ['the directory spells the name differently', 'the search account may not read the attribute']
      expect(warnings).toEqual([
        [`this user cannot log in: ${why[0]}`, { account: 'Bob', attributes: ['uid'] }],
        [`this user cannot log in: ${why[1]}`, { account: 'bob', attributes: ['employeeNumber'] }],
      ])
    })

    test('is not asked further when it finds too many', async () => {
      const authenticator = make(directory({ filter: '(objectClass=inetOrgPerson)' }))
      expect(await refusal(authenticator.authenticate('bob', '123'))).toBe('Too many entries returned.')
      expect(await refusal(authenticator.find?.('bob'))).toBe('Too many entries returned.')
    })

    test.each([
      ['a base that is not there', { base: 'dc=nowhere' }, 'the LDAP server answered with result code 32'],
      ['a filter that is none', { filter: '(uid=' }, 'the LDAP filter is not one'],
      [
        'a search account that is not there',
        { bindDn: `cn=x,${SUFFIX}` },
        'the LDAP server refuses the search account',
      ],
      ['no password for it', { bindPasswordFile: undefined }, 'the LDAP search account has no password'],
      [
        'no file of its password',
        { bindPasswordFile: '/nowhere' },
        'the password of the LDAP search account cannot be read',
      ],
    ])('lets nobody in with %s', async (_, changes, expected) => {
      expect(await refusal(make(directory(changes)).authenticate('bob', '123'))).toBe(expected)
    })

    test('gets the password of the search account as its file is now', async () => {
      const bindPasswordFile = join(slapd.folder, 'changing')
      const authenticator = make(directory({ bindPasswordFile }))
      await writeFile(bindPasswordFile, 'wrong\n')
      expect(await refusal(authenticator.authenticate('bob', '123'))).toBe('the LDAP server refuses the search account')
      await writeFile(bindPasswordFile, 'readerpw\r\n')
      expect(await authenticator.authenticate('bob', '123')).toMatchObject({ kind: 'yes' })
      await rm(bindPasswordFile)
    })

    test('gives the groups of a user by memberOf, as they are now', async () => {
      await slapd.put({ uid: 'carol', password: '123' })
      await slapd.putGroup('QA', ['carol'])
      const labels = {
        groups: { attribute: 'memberOf', parseCn: true, lowerCase: true },
        raw: { attribute: 'memberof', parseCn: false, lowerCase: false },
        none: { attribute: 'title', parseCn: false, lowerCase: false },
      }
      const authenticator = make(directory({ labels }))
      const first = { groups: ['qa'], raw: [`cn=QA,ou=groups,${SUFFIX}`] }
      expect(await authenticator.authenticate('carol', '123')).toEqual({ kind: 'yes', labels: first })
      await slapd.putGroup('Dev', ['carol'])
      expect((await authenticator.find?.('carol'))?.labels.groups).toEqual(['qa', 'dev'])
    })

    test('lets users search for themselves where no account may', async () => {
      const labels = { mail: { attribute: 'mail', parseCn: false, lowerCase: false } }
      const bindDn = personDn(ACCOUNT)
      const given = { initialBindAsUser: true, bindDn, bindPasswordFile: undefined, labels }
      const authenticator = make(directory(given))
      expect(authenticator.find).toBeUndefined()
      expect(await authenticator.authenticate('bob', '123')).toEqual({
        kind: 'yes',
        labels: { mail: ['bob@example.org'] },
      })
      expect(await authenticator.authenticate('bob', '456')).toBe('wrong-password')
      expect(await authenticator.authenticate('BOB', '123')).toBe('no-match')
      expect(await authenticator.authenticate(`alice,${PEOPLE}`, '456')).toBe('wrong-password')
      // The password of one must not give the labels of another.
      const another = make(directory({ ...given, bindDn: READER, filter: '(uid=bob)' }))
      expect(await another.authenticate('x', 'readerpw')).toBe('wrong-password')
    })

    test('takes a mechanism of SASL for no name', async () => {
      expect(await make(directory({ initialBindAsUser: true, bindDn: ACCOUNT })).authenticate('EXTERNAL', '123')).toBe(
        'wrong-password',
      )
    })

    test('answers many at once', async () => {
      const authenticator = make(directory({ tls: 'starttls' }))
      const passwords = Array.from({ length: 40 }, (_, index) => (index % 2 === 0 ? '123' : '0'))
      const outcomes = await Promise.all(passwords.map((password) => authenticator.authenticate('bob', password)))
      const yes = { kind: 'yes' as const, labels: {} }
      expect(outcomes).toEqual(passwords.map((password) => (password === '123' ? yes : 'wrong-password')))
    })

    test('answers nobody after the end', async () => {
      const authenticator = make(directory())
      expect(await authenticator.authenticate('bob', '123')).toMatchObject({ kind: 'yes' })
      await authenticator.close?.()
      expect(await refusal(authenticator.find?.('bob'))).toBe('LDAP is closed')
    })
  })

  describe('among servers that do not answer', () => {
    test('is asked when the first one is down, and then first', async () => {
      const port = await freePort()
      const warnings: [string, Record<string, unknown>][] = []
      const servers = [
        { host: '127.0.0.1', port },
        { host: '127.0.0.1', port: slapd.ldap },
      ]
      const authenticator = make(directory({ servers }), warnings)
      expect(await authenticator.authenticate('bob', '123')).toMatchObject({ kind: 'yes' })
      expect(await authenticator.authenticate('bob', '123')).toMatchObject({ kind: 'yes' })
      expect(warnings.map(([message, { server }]) => [message, server])).toEqual([
        ['this LDAP server does not answer', `127.0.0.1:${port}`],
      ])
    })

    test('is asked once more when the kept connection has become silent', async () => {
      const firewall = await startFirewall(slapd.ldap)
      const servers = [{ host: '127.0.0.1', port: firewall.port }]
      // Half of it is the silence's.
      const authenticator = make(directory({ servers, timeoutMs: 6000 }))
      expect(await authenticator.authenticate('bob', '123')).toMatchObject({ kind: 'yes' })
      firewall.forget()
      expect(await authenticator.authenticate('bob', '123')).toMatchObject({ kind: 'yes' })
      firewall.close()
    })

    test('is asked when the first one is silent', async () => {
      const silence = await startSilence()
      const servers = [
        { host: '127.0.0.1', port: silence.port },
        { host: '127.0.0.1', port: slapd.ldap },
      ]
      // Half of it is the silence's.
      const authenticator = make(directory({ servers, timeoutMs: 6000 }))
      expect(await authenticator.authenticate('bob', '123')).toMatchObject({ kind: 'yes' })
      silence.close()
    })
  })

  test.each(['none', 'starttls', 'always'] as const)(
    'that was down is asked again when it is up (TLS: %s)',
    async (tls) => {
      const authenticator = make(directory({ tls }))
      expect(await authenticator.authenticate('bob', '123')).toMatchObject({ kind: 'yes' })
      // The kept connection breaks without a question in between.
      await slapd.stop()
      await slapd.start()
      expect(await authenticator.authenticate('bob', '123')).toMatchObject({ kind: 'yes' })
      await slapd.stop()
      expect(await refusal(authenticator.authenticate('bob', '123'))).toBe('no LDAP server answers')
      await slapd.start()
      expect(await authenticator.find?.('bob')).toEqual({ labels: {}, stamp: '' })
      expect(await authenticator.authenticate('bob', '0')).toBe('wrong-password')
    },
  )
})
