import { afterAll, describe, expect, test } from 'bun:test'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { AclRequest } from './acl.ts'
import { UnavailableError } from './authenticator.ts'
import { addressText, createExternalAuthorizer, labelsJson, requestRecord } from './external-rules.ts'
import { parseAddress } from './ip.ts'

const folder = await mkdtemp(join(tmpdir(), 'berth-external-rules-'))
afterAll(() => rm(folder, { recursive: true }))

function request(some: Partial<AclRequest> = {}): AclRequest {
  return {
    account: 'user',
    type: 'registry',
    name: 'catalog',
    service: 'Docker registry',
    ip: parseAddress('127.0.0.1'),
    actions: ['*'],
    labels: {},
    ...some,
  }
}

function authorizer(script: string) {
  return createExternalAuthorizer({ command: 'sh', args: ['-c', script], timeoutMs: 30_000, maxChildren: 2 })
}

async function ruling(script: string, some: Partial<AclRequest> = {}): Promise<unknown> {
  const source = authorizer(script)
  try {
    return await source.authorize(request(some), 'first-match')
  } catch (error) {
    return error instanceof UnavailableError ? `unavailable: ${error.message}` : error
  }
}

describe('ext_authz', () => {
  test.each([
    ['0 grants what was asked, as asked', 'exit 0', { actions: ['pull', 'push', 'push'], rule: 'ext_authz' }],
    ['0 grants it whatever the output', 'echo "[]"', { actions: ['pull', 'push', 'push'], rule: 'ext_authz' }],
    ['1 grants nothing, and that is a decision', 'exit 1', { actions: [], rule: 'ext_authz' }],
    ['2 is no answer', 'exit 2', 'unavailable: bad return code from command: 2'],
    ['3 is no answer', 'exit 3', 'unavailable: bad return code from command: 3'],
    ['a signal is no answer', 'kill -15 $$', 'unavailable: bad return code from command: -1'],
  ])('%s', async (_, script, expected) => {
    expect(await ruling(script, { actions: ['pull', 'push', 'push'] })).toEqual(expected)
  })

  test('the program reads the request in JSON', async () => {
    const asked = join(folder, 'asked')
    await ruling(`cat > ${asked}`)
    expect(await Bun.file(asked).text()).toBe(
      '{"Account":"user","Type":"registry","Name":"catalog","Service":"Docker registry","IP":"127.0.0.1","Actions":["*"],"Labels":null}',
    )
  })

  test('a source that was closed decides nothing', async () => {
    const source = authorizer('exit 0')
    await source.close?.()
    const error = await Promise.resolve(source.authorize(request(), 'first-match')).catch((cause: unknown) => cause)
    expect(error).toBeInstanceOf(UnavailableError)
  })
})

describe('the record of a request', () => {
  test.each([
    [
      'has labels in the order of their names',
      { labels: { b: ['2', '1'], a: [] } },
      '"Labels":{"a":[],"b":["2","1"]}}',
    ],
    ['sorts names as bytes', { labels: { '😀': [], '\uffee': [] } }, '"Labels":{"\uffee":[],"😀":[]}}'],
    ['sorts numbers as text', { labels: { 9: ['x'], 10: ['y'] } }, '"Labels":{"10":["y"],"9":["x"]}}'],
    ['has an empty text for an address that is not known', { ip: undefined }, '"IP":"","Actions":["*"],"Labels":null}'],
    ['has no actions where none were asked', { actions: [] }, '"Actions":[],"Labels":null}'],
  ])('%s', (_, some, end) => {
    expect(requestRecord(request(some)).endsWith(end)).toBe(true)
  })

  test.each([
    ['what ends a script in HTML', '</a>&\u2028\u2029', '\\u003c/a\\u003e\\u0026\\u2028\\u2029'],
    ['quotes and what is behind them', '"\\', '\\"\\\\'],
    ['control characters', '\0\b\t\n\f\r\u001b', '\\u0000\\b\\t\\n\\f\\r\\u001b'],
    ['nothing else', "é😀/'\u007f", "é😀/'\u007f"],
    ['half a character as the replacement character', 'a\ud800', 'a\ufffd'],
  ])('escapes %s', (_, account, written) => {
    const record = requestRecord(request({ account, labels: { [account]: [account] } }))
    expect(record.startsWith(`{"Account":"${written}","Type"`)).toBe(true)
    expect(record.endsWith(`"Labels":{"${written}":["${written}"]}}`)).toBe(true)
    expect(JSON.parse(record)).toMatchObject({ Account: account.toWellFormed() })
  })

  test('has labels of any name', () => {
    expect(labelsJson(JSON.parse('{"__proto__":["x"]}'))).toBe('{"__proto__":["x"]}')
  })
})

describe('an address', () => {
  test.each([
    ['of IPv4', '192.0.2.1', '192.0.2.1'],
    ['of IPv4 in IPv6 clothes', '::ffff:192.0.2.1', '192.0.2.1'],
    ['of IPv6, small letters, no leading zeros', '2001:0DB8:1:2:3:4:5:6', '2001:db8:1:2:3:4:5:6'],
    ['with zeros at its start', '::1', '::1'],
    ['with zeros at its end', 'fe80::', 'fe80::'],
    ['of zeros', '::', '::'],
    ['with two runs of zeros is short where the longer is', '1:0:0:2:0:0:0:3', '1:0:0:2::3'],
    ['with two equal runs is short at the first', '1:0:0:2:3:0:0:4', '1::2:3:0:0:4'],
    ['with a single zero keeps it', '1:0:2:3:4:5:6:7', '1:0:2:3:4:5:6:7'],
    ['with groups that end in zero keeps them', '10:0:0:a0:0:1:20:0', '10::a0:0:1:20:0'],
  ])('%s', (_, text, written) => {
    expect(addressText(parseAddress(text))).toBe(written)
  })
})
