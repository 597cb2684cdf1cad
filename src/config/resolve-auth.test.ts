import { describe, expect, test } from 'bun:test'
import { lines, loadText } from './fixtures/load-text.ts'

describe('the token server inside the registry', () => {
  const base = 'version: 0.1\nstorage: filesystem\n'

  test('tokenserver: needs no key at all', () => {
    const { config, problems, warnings } = loadText({ file: `${base}tokenserver: {}\n` })
    expect(lines([...problems, ...warnings])).toEqual([])
    expect(config?.auth).toMatchObject({ kind: 'token', realm: undefined, service: 'Berth', issuer: 'Berth' })
    expect(config?.tokenServer).toMatchObject({
      listen: undefined,
      issuer: 'Berth',
      expiration: 900,
      users: undefined,
      acl: undefined,
    })
  })

  const rows: [
    sentence: string,
    yaml: string,
    pick: [issuer: string, issued: string | undefined, realm: string | undefined],
    problems: string[],
    warnings: string[],
  ][] = [
    [
      'an issuer given once is given to both',
      'auth: {token: {issuer: A}}\ntokenserver: {}',
      ['A', 'A', undefined],
      [],
      [],
    ],
    [
      'the issuer of the token server is the one expected',
      'tokenserver: {token: {issuer: A}}',
      ['A', 'A', undefined],
      [],
      [],
    ],
    ['auth: token alone is the built-in token server', 'auth: token', ['Berth', 'Berth', undefined], [], []],
    [
      'some of its keys are taken over',
      'auth: {token: {realm: "https://r/auth", issuer: A}}',
      ['A', 'A', 'https://r/auth'],
      [],
      [],
    ],
    ['anonymous alone is the built-in token server', 'auth: {anonymous: pull}', ['Berth', 'Berth', undefined], [], []],
    [
      'autoredirect makes the realm from the request',
      'auth: {token: {realm: "https://r/auth", autoredirect: true, autoredirectpath: /auth/token}}',
      ['Berth', 'Berth', undefined],
      [],
      [],
    ],
    [
      'a foreign token server may be behind the same host',
      'auth: {token: {service: S, issuer: A, jwks: j, autoredirect: true, autoredirectpath: /t}}',
      ['A', undefined, undefined],
      [],
      [],
    ],
    [
      'issuers that differ',
      'auth: {token: {issuer: A}}\ntokenserver: {token: {issuer: B}}',
      ['', '', ''],
      [
        'config.yml:3: auth.token.issuer: the registry expects tokens issued by "A", but the token server issues them as "B" (config.yml:4: tokenserver.token.issuer)',
      ],
      [],
    ],
    [
      'issuers that differ where another token server is trusted',
      'auth: {token: {issuer: A, jwks: j}}\ntokenserver: {token: {issuer: B}}',
      ['A', 'B', undefined],
      [],
      [
        'config.yml:3: auth.token.issuer: the registry expects tokens issued by "A", but the token server issues them as "B" (config.yml:4: tokenserver.token.issuer); tokens of this token server are not accepted',
      ],
    ],
    [
      'a path of another token server',
      'auth: {token: {autoredirect: true, autoredirectpath: /t}}',
      ['', '', ''],
      ["config.yml:3: auth.token.autoredirectpath: Berth's token server does not answer at /t"],
      [],
    ],
    [
      'an unknown algorithm',
      'auth: {token: {signingalgorithms: [RS256, none]}}',
      ['', '', ''],
      ['config.yml:3: auth.token.signingalgorithms[1]: unknown signing algorithm none'],
      [],
    ],
    [
      'a token server that nobody asks',
      'auth: none\ntokenserver: {}',
      ['', '', ''],
      [],
      ['config.yml:3: auth.none: auth is none, so the registry asks for no tokens of the token server'],
    ],
    [
      'an unknown word for anonymous users',
      'auth: {anonymous: push}',
      ['', '', ''],
      ['config.yml:3: auth.anonymous: must be one of none, pull'],
      [],
    ],
  ]
  test.each(rows)('%s', (_, yaml, [issuer, issued, realm], problems, warnings) => {
    const result = loadText({ file: `${base}${yaml}\n` })
    expect(lines(result.problems)).toEqual(problems)
    expect(lines(result.warnings)).toEqual(warnings)
    expect(result.config === undefined).toBe(problems.length > 0)
    if (result.config?.auth.kind === 'token') {
      expect([result.config.auth.issuer, result.config.tokenServer?.issuer, result.config.auth.realm]).toEqual([
        issuer,
        issued,
        realm,
      ])
    }
  })

  test('the path of a foreign token server behind the same host is kept', () => {
    const foreign = 'auth: {token: {service: S, issuer: A, jwks: j, autoredirect: true}}\n'
    expect(loadText({ file: base + foreign }).config?.auth).toMatchObject({
      realm: undefined,
      realmPath: '/auth/token',
    })
  })

  test('anonymous users may pull beside a htpasswd file', () => {
    const file = `${base}auth: {htpasswd: {realm: r, path: p}, anonymous: pull}\n`
    expect(loadText({ file }).config?.auth).toEqual({ kind: 'htpasswd', realm: 'r', path: 'p', anonymous: 'pull' })
  })

  test('tokenserver: without a value is the same as an empty section', () => {
    const { config, problems, warnings } = loadText({ file: `${base}tokenserver:\n` })
    expect(lines([...problems, ...warnings])).toEqual([])
    expect(config?.auth.kind).toBe('token')
  })

  test('it is described in one place only', () => {
    const result = loadText({
      file: `${base}tokenserver: {}\n`,
      authFile: `server: {addr: ":5001"}\ntoken: {issuer: A, expiration: 900}\nusers: {}\nacl: []\n`,
    })
    expect(lines(result.problems)).toEqual([
      'config.yml:3: tokenserver: the token server is described here and in auth_config.yml',
    ])
  })
})
