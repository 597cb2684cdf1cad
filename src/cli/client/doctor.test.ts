import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openVerbShell } from '../../../test/clients/verb-shell.ts'
import { selfSignedCertificate, toPem } from '../../x509/certificate.ts'

const folder = mkdtempSync(join(tmpdir(), 'berth-doctor-'))
afterAll(() => rmSync(folder, { recursive: true }))

const DAY = 86_400_000
const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const stranger = generateKeyPairSync('ec', { namedCurve: 'P-256' })
let serial = 0

function write(name: string, text: string): string {
  writeFileSync(join(folder, name), text, { mode: 0o600 })
  return join(folder, name)
}

function certificate(name: string, days: number, { privateKey, publicKey } = pair): string {
  const dates = { notBefore: new Date(Date.now() - 100 * DAY), notAfter: new Date(Date.now() + days * DAY) }
  const der = selfSignedCertificate({
    privateKey,
    publicKey,
    commonName: 'tokens',
    serial: Uint8Array.of(++serial),
    ...dates,
  })
  return write(name, toPem('CERTIFICATE', der))
}

const key = write('key.pem', pair.privateKey.export({ format: 'pem', type: 'pkcs8' }).toString())
const old = certificate('old.pem', -1)
const fresh = certificate('fresh.pem', 100)
const previous = certificate('previous.pem', 50)
const foreign = certificate('foreign.pem', 100, stranger)

interface Found {
  severity: string
  id: string
  message: string
  fix: string[]
}

const shell = openVerbShell(folder)

async function doctor(
  tokenCertificate: string,
  bundle: string,
  option = '',
): Promise<{ code: number; found: Found[] }> {
  const text = `server: {addr: "127.0.0.1:0"}\ntoken: {issuer: I, expiration: 900, certificate: ${tokenCertificate}, key: ${key}${option}}\nusers: {}\nacl: []\n`
  const config = write('auth_config.yml', text)
  const { code, out } = await shell.run('doctor', '--auth-config', config, '--bundle', bundle, '--format', 'json')
  return { code, found: JSON.parse(out).findings }
}

describe('the key of tokens, for a registry with a bundle', () => {
  test.each<[string, [string, string, string?], Record<string, RegExp>]>([
    ['is fine with its own certificate there', [fresh, fresh], { 'ok keys': /by the certificate that they carry$/ }],
    [
      'is fine by its id where no certificate is sent',
      [fresh, fresh, ', x5c: never'],
      { 'ok keys': /by the key id \S+, as registry 2\.x/ },
    ],
    [
      'whose certificate has expired is taken by its id alone, which is said',
      [old, old],
      { 'warning token-certificate-expired': /ended on .*Tokens do not carry it now/, 'ok keys': /by the key id / },
    ],
    [
      'whose certificate has expired is refused where every token carries it',
      [old, old, ', x5c: always'],
      { 'fault token-certificate-expired': /Every token carries it/, 'fault untrusted-key': /an older certificate/ },
    ],
    [
      'whose certificate was renewed after it expired is refused by a registry with the old one',
      [fresh, old],
      { 'fault untrusted-key': /old\.pem has an older certificate of the key/ },
    ],
    [
      'whose certificate was renewed is fine with the old one by its id',
      [fresh, old, ', x5c: never'],
      { 'ok keys': /by the key id / },
    ],
    [
      'whose certificate was renewed in time is refused all the same, save by Berth: the old one vouches for none of its own subject and key',
      [fresh, previous],
      {
        'fault untrusted-key':
          /previous\.pem has an older .*registry:2 and 3 .* refuse it: `x509: .* Berth as the registry takes it\.$/,
      },
    ],
    [
      'of another certificate is refused, with both ids',
      [fresh, foreign],
      {
        'fault untrusted-key':
          /by the key (\w{4}:){11}\w{4}, and \S+foreign\.pem has (\w{4}:){11}\w{4} \(CN=tokens\): `token signed by untrusted key with ID/,
      },
    ],
    [
      'of another certificate is refused by its id, too',
      [fresh, foreign, ', x5c: never'],
      { 'fault untrusted-key': /foreign\.pem has/ },
    ],
    [
      'is missed where the bundle is not there',
      [fresh, join(folder, 'nowhere.pem')],
      { 'fault file-unusable': /nowhere\.pem, which is not there/ },
    ],
  ])('%s', async (_, [token, bundle, option], expected) => {
    const { code, found } = await doctor(token, bundle, option)
    const keys = found.filter(({ id }) => !['configuration', 'passwords'].includes(id))
    expect(keys.map(({ severity, id }) => `${severity} ${id}`).sort()).toEqual(Object.keys(expected).sort())
    for (const { severity, id, message } of keys) expect(message).toMatch(expected[`${severity} ${id}`] ?? /^never$/)
    expect(code).toBe(keys.some(({ severity }) => severity === 'fault') ? 1 : 0)
    for (const { severity, fix } of found) expect(fix.length > 0).toBe(severity === 'fault' || severity === 'warning')
  })
})

test('two configurations are one too many', async () => {
  const { code, error, out } = await shell.run('doctor', 'a.yml', '--config', 'b.yml')
  expect({ code, out, error }).toEqual({
    code: 64,
    out: '',
    error: 'berth: there are two configurations: name one\n',
  })
})

describe('files in the wrong place are one line', () => {
  let folder: string
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'berth-doctor-'))
    const registry = { version: 0.1, storage: { inmemory: {} }, http: { addr: ':5000' } }
    const auth = { server: { addr: ':5001' }, token: { issuer: 'I' }, users: {}, acl: [] }
    writeFileSync(join(folder, 'config.yml'), JSON.stringify(registry))
    writeFileSync(join(folder, 'auth.yml'), JSON.stringify(auth))
    symlinkSync('config.yml', join(folder, 'link.yml'))
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  test.each<[string, string[], string]>([
    [
      'swapped',
      ['--config', 'auth.yml', '--auth-config', 'config.yml'],
      "--config and --auth-config name each other's file\nHint: berth doctor --config config.yml --auth-config auth.yml",
    ],
    [
      'the same twice, by a link',
      ['--config', 'config.yml', '--auth-config', 'link.yml'],
      "config.yml is named twice: it is the registry's configuration\nHint: a token server without a file of its own is described by tokenserver: in that of the registry: leave out --auth-config",
    ],
    [
      "the token server's alone, as the registry's",
      ['auth.yml'],
      "--config: auth.yml is the token server's configuration (docker_auth's format), and not the registry's\nHint: berth doctor --auth-config auth.yml",
    ],
    [
      "the registry's alone, as the token server's",
      ['--auth-config', 'config.yml'],
      "--auth-config: config.yml is the registry's configuration, and not the token server's (docker_auth's format)\nHint: berth doctor --config config.yml",
    ],
  ])('%s', async (_, args, said) => {
    const shell = openVerbShell('/nonexistent')
    const paths = args.map((word) => (word.endsWith('.yml') ? join(folder, word) : word))
    const { error, ...shown } = await shell.run('doctor', ...paths)
    expect({ ...shown, error: error.replaceAll(`${folder}/`, '') }).toEqual({
      out: '',
      code: 64,
      error: `berth: ${said}\n`,
    })
  })
})

test('a configuration that is not there is a fault', async () => {
  const { code, out } = await shell.run('doctor', join(folder, 'nowhere.yml'))
  expect(code).toBe(1)
  expect(out).toContain('config-invalid')
  expect(out).toContain('there is no such file')
})

test('text has what is well first, the faults last, and no colour in a pipe', async () => {
  const config = write(
    'auth_config.yml',
    `server: {addr: "127.0.0.1:0"}\ntoken: {issuer: I, expiration: 900, certificate: ${fresh}, key: ${key}}\nusers: {}\nacl: []\n`,
  )
  const good = await shell.run('doctor', '--auth-config', config, '--bundle', fresh)
  expect({ code: good.code, error: good.error }).toEqual({ code: 0, error: '' })
  expect(good.out).toEndWith('\n\nAll is well.\n')
  const bad = await shell.run('doctor', '--auth-config', config, '--bundle', foreign)
  expect({ code: bad.code, error: bad.error }).toEqual({ code: 1, error: 'berth: 1 fault.\n' })
  expect(bad.out).toMatch(
    /\nFAULT {2,}untrusted-key {2}\S+foreign\.pem\n +tokens are signed by .*\n +fix: cat \S+fresh\.pem >> \S+foreign\.pem .*\n/,
  )
  expect(bad.out).not.toContain('\u001b')
})

describe('explain', () => {
  test('says what a text means, in words and for programs, also out of a log on standard input', async () => {
    const text = 'http: server gave HTTP response to HTTPS client'
    const words = await shell.run('doctor', 'explain', ...text.split(' '))
    expect({ code: words.code, error: words.error }).toEqual({ code: 0, error: '' })
    expect(words.out).toMatch(
      /^http: server gave .*\n {2}said by docker\n {2}The registry has no TLS\..*\n {2}fix: berth serve --tls auto\n/,
    )
    const log = await shell.runWith(`before\n${text}\nafter`, 'doctor', 'explain', '-')
    expect(log.out).toBe(words.out)
    const json = await shell.run('doctor', 'explain', text, '--format', 'json')
    expect(JSON.parse(json.out).explanations[0]).toMatchObject({
      texts: [text],
      finds: expect.arrayContaining(['insecure-registry-needed']),
    })
  })

  test('lists the texts that it knows, and says so of others', async () => {
    expect((await shell.run('doctor', 'explain')).out.split('\n').length).toBeGreaterThan(20)
    const { code, out, error } = await shell.run('doctor', 'explain', 'the cat \u001b[31m sat')
    expect({ code, out }).toEqual({ code: 2, out: '' })
    expect(error).toMatch(/^berth: nothing is known of .*\nHint: berth doctor explain lists the texts .*\n$/)
    expect(error).not.toContain('\u001b')
  })

  test('of a log that says nothing known names no line of it, and of nothing says that', async () => {
    for (const [log, says] of [
      ['Using default tag: latest\n\nthe cat sat\n', 'nothing is known of any of these 2 lines'],
      ['the cat sat\n', 'nothing is known of "the cat sat"'],
      [' \n', 'there is no text to explain'],
    ] as const) {
      const { code, out, error } = await shell.runWith(log, 'doctor', 'explain', '-')
      expect({ code, out, first: error.split('\n')[0] }).toEqual({ code: 2, out: '', first: `berth: ${says}` })
    }
  })

  test('fits a terminal, apart from what is to be copied', async () => {
    const whole = (await shell.run('doctor', 'explain', 'insufficient_scope')).out
    const { out } = await shell.runAt(80, 'doctor', 'explain', 'insufficient_scope')
    const lines = out.split('\n')
    expect(lines.filter((line) => line.length > 80 && !line.startsWith('  fix: '))).toEqual([])
    expect(lines.length).toBeGreaterThan(whole.split('\n').length)
    expect(out.split(/\s+/)).toEqual(whole.split(/\s+/))
    expect(out).toContain("\n  fix: `berth acl test NAME 'repository:REPOSITORY:pull,push' --data DIR` ")
  })
})

test('without a terminal the password is asked for by the same command', async () => {
  const asked = ['127.0.0.1:1/team/app', '--user', 'kim', '--for', 'pull,push', '--timeout', '2s', '--read-only']
  const { code, out, error } = await shell.run('doctor', ...asked, '--header', 'X-Secret: 1')
  expect({ code, out }).toEqual({ code: 64, out: '' })
  const [, hint = ''] = error.split('Hint: ')
  expect(hint).toMatch(/^printf %s "\$PASSWORD" \| berth doctor 127\.0\.0\.1:1\/team\/app --.* --password-stdin\n$/)
  for (const flag of ['--user kim', "--for 'pull,push'", '--timeout 2000ms', '--read-only'])
    expect(hint).toContain(flag)
  expect(hint).not.toMatch(/Secret|--root|--format/)
})
