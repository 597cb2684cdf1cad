import { describe, expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ERROR_TEXTS } from './error-texts.ts'
import { explain, formatExplanation, keyIdIn } from './explain.ts'
import { MEANINGS } from './finding.ts'
import { troubleshootingMarkdown } from './troubleshooting.ts'

const PAGE = readFileSync(join(import.meta.dir, '../../docs/troubleshooting.md'), 'utf8')

describe('a text as people meet it', () => {
  test.each<[string, string]>([
    // As the notes of people who set up registry:2 with docker_auth have them.
    [
      'time="2017-01-11T06:07:51Z" level=error msg="token signed by untrusted key with ID: 略"',
      'token signed by untrusted key with ID: …',
    ],
    [
      'time="2017-01-11T06:07:51Z" level=warning msg="error authorizing context: invalid token"',
      'token signed by untrusted key with ID: …',
    ],
    [
      'Failed tls handshake. Does not contain any IP SANs',
      "x509: cannot validate certificate for … because it doesn't contain any IP SANs",
    ],
    ['401 insufficient_scope', 'insufficient_scope'],
    [
      'Error response from daemon: Get https://localhost:5000/v2/: unauthorized: authentication required',
      'Error response from daemon: Get https://…/v2/: unauthorized: authentication required',
    ],
    [
      'Error response from daemon: login attempt to https://localhost:5000/v2/ failed with status: 401 Unauthorized',
      'Error response from daemon: login attempt to https://…/v2/ failed with status: 401 Unauthorized',
    ],
    [
      '{"errors":[{"code":"UNAUTHORIZED","message":"authentication required","detail":[{"Type":"registry","Class":"","Name":"catalog","Action":"*"}]}]}',
      '{"errors":[{"code":"UNAUTHORIZED","message":"authentication required","detail":[{"Type":"registry","Class":"","Name":"catalog","Action":"*"}]}]}',
    ],
    [
      '{"errors":[{"code":"UNAUTHORIZED","message":"authentication required","detail":[{"Type":"repository","Class":"","Name":"admin-image","Action":"delete"}]}]}',
      '{"errors":[{"code":"UNAUTHORIZED","message":"authentication required","detail":[{"Type":"repository","Class":"","Name":"…","Action":"…"}]}]}',
    ],
    [
      'WARNING! Your password will be stored unencrypted in /root/.docker/config.json.',
      'WARNING! Your password will be stored unencrypted in …',
    ],
    ['handshake error', 'remote error: tls: handshake failure'],
    // As programs of today write them.
    [
      `Get "https://192.0.2.7:5000/v2/": tls: failed to verify certificate: x509: cannot validate certificate for 192.0.2.7 because it doesn't contain any IP SANs`,
      "x509: cannot validate certificate for … because it doesn't contain any IP SANs",
    ],
    [
      'x509: certificate is valid for localhost, not registry',
      'x509: certificate relies on legacy Common Name field, use SANs instead',
    ],
    ['http: server gave HTTP response to\n HTTPS client', 'http: server gave HTTP response to HTTPS client'],
    [
      'denied: team/app:v1 is immutable by the rule releases: it stays at sha256:5f0c; push another tag',
      'denied: … is immutable by the rule …',
    ],
    [
      'berth: host/team/app:v2: DENIED: the quota of team is used up: 7 of 7 tags are there, and this makes 1 more',
      'denied: the quota of … is used up: …',
    ],
    [
      'the quota of team takes no further uploads at the moment: those under way',
      'denied: the quota of … is used up: …',
    ],
    ['token from untrusted issuer: \\"Auth Service\\"', 'token from untrusted issuer: …'],
    ['dial tcp 127.0.0.1:5001: connect: connection refused', 'dial tcp …:5001: connect: connection refused'],
  ])('%s', (text, expected) => {
    expect(explain(text)[0]?.texts[0]).toBe(expected)
  })

  test('that says nothing is explained by nothing', () => {
    for (const text of ['', ' ', 'it does not work', 'x509', '…']) expect(explain(text)).toEqual([])
  })

  test('in a log leads to each text that stands there', () => {
    const log = 'a\nlevel=error msg="token from untrusted issuer: \\"x\\""\nb\nwrite: no space left on device\n'
    expect(explain(log).map(({ texts: [first] }) => first)).toEqual([
      'token from untrusted issuer: …',
      'no space left on device',
    ])
  })

  test('that names a key says of which generation its id is', () => {
    const libtrust =
      'token signed by untrusted key with ID: \\"PYYO:TEWU:V7JH:26JV:AQTZ:LJC3:SXVJ:XGHA:34F2:2LAQ:ZRMK:Z7Q6\\"'
    expect(keyIdIn(libtrust)).toContain('registry 2.x knows keys')
    const thumbprint = 'token signed by untrusted key with ID: "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"'
    expect(keyIdIn(thumbprint)).toContain('registry 3 knows keys')
    expect(keyIdIn('token signed by untrusted key with ID: 略')).toBeUndefined()
    const [entry] = explain(thumbprint)
    expect(entry && formatExplanation(entry, keyIdIn(thumbprint))).toMatch(
      /^token signed by [^\n]+\n {2}said by [^\n]+\n {2}The registry [^\n]+\n {2}Here the id NzbL/,
    )
  })
})

describe('docs/troubleshooting.md', () => {
  test('is the table: bin/berth doctor explain --format markdown > docs/troubleshooting.md', () => {
    expect(PAGE).toBe(troubleshootingMarkdown())
  })

  test('leads from each text that is known, and with those of the documents', () => {
    const headings = [...PAGE.matchAll(/^### `(.+)`$/gm)].map(([, heading]) => heading)
    expect(headings).toEqual(ERROR_TEXTS.map(({ texts: [first] }) => first))
    expect(headings.slice(0, 5)).toEqual([
      'token signed by untrusted key with ID: …',
      "x509: cannot validate certificate for … because it doesn't contain any IP SANs",
      'insufficient_scope',
      'Error response from daemon: Get https://…/v2/: unauthorized: authentication required',
      'Error response from daemon: login attempt to https://…/v2/ failed with status: 401 Unauthorized',
    ])
  })

  test('names each finding', () => {
    for (const id of Object.keys(MEANINGS)) expect(PAGE).toContain(`| \`${id}\` |`)
  })

  test('each known text leads to its own entry', () => {
    for (const entry of ERROR_TEXTS) {
      for (const text of entry.texts)
        expect([text, explain(text.replaceAll('…', 'something'))[0]?.texts[0]]).toEqual([text, entry.texts[0]])
    }
  })
})
