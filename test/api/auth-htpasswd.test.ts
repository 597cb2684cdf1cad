import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startRegistry, type TestRegistry } from '../start-registry.ts'
import { pushImage } from './content.ts'
import { ask } from './exchange.ts'

let folder: string
let path: string
let registry: TestRegistry
let port: number

const hash = (password: string) => Bun.password.hash(password, { algorithm: 'bcrypt', cost: 4 })
const basic = (user: string, password: string) => ({
  Authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`,
})

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'berth-test-'))
  path = join(folder, 'htpasswd')
  const [alice, bob, old, carol, colon] = await Promise.all(['secret', 'b', 'first', 'last', 'a:b:c'].map(hash))
  writeFileSync(
    path,
    [
      '# made by hand',
      '',
      `alice:${alice?.replace('$2b$', '$2y$')}`,
      `  bob:${bob?.replace('$2b$', '$2a$')}`,
      `carol:${old}`,
      `carol:${carol}`,
      `colon:${colon}`,
      'md5:$apr1$lZL6V/ci$eIMz/iKDkbtys/uU7LEK00',
      'sha:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=',
      'plain:plain',
      'broken:$2y$04$tooshort',
      '',
    ].join('\r\n'),
  )
  registry = await startRegistry({
    env: {
      REGISTRY_AUTH: 'htpasswd',
      REGISTRY_AUTH_HTPASSWD_REALM: 'Registry Realm',
      REGISTRY_AUTH_HTPASSWD_PATH: path,
    },
  })
  port = registry.port
})
afterAll(async () => {
  await registry.stop()
  rmSync(folder, { recursive: true, force: true })
})

describe('a password file', () => {
  test.each([
    ['the right password', basic('alice', 'secret'), 200],
    ['a hash of the first kind, after spaces', basic('bob', 'b'), 200],
    ['the last of two lines for a user', basic('carol', 'last'), 200],
    ['a password with colons', basic('colon', 'a:b:c'), 200],
    ['the scheme in small letters', { Authorization: basic('alice', 'secret').Authorization.replace('B', 'b') }, 200],
    ['the first of two lines for a user', basic('carol', 'first'), 401],
    ['a wrong password', basic('alice', 'Secret'), 401],
    ['an empty password', basic('alice', ''), 401],
    ['an unknown user', basic('mallory', 'secret'), 401],
    ['no user', basic('', 'secret'), 401],
    ['a hash by MD5', basic('md5', 'password'), 401],
    ['a hash by SHA-1', basic('sha', 'password'), 401],
    ['no hash at all', basic('plain', 'plain'), 401],
    ['a hash that is cut', basic('broken', 'x'), 401],
    ['a very long password', basic('alice', 'x'.repeat(8000)), 401],
    ['what is no base64', { Authorization: 'Basic !!!' }, 401],
    ['no colon', { Authorization: `Basic ${Buffer.from('alice').toString('base64')}` }, 401],
    ['a token', { Authorization: 'Bearer x' }, 401],
    ['nothing', {}, 401],
  ])('%s', async (_, headers, status) => {
    const answer = await ask(port, 'GET', '/v2/', { headers: headers as Record<string, string> })
    expect(answer.status).toBe(status)
    if (status === 200) return expect(answer.text).toBe('{}')
    expect(answer.all).toMatchObject({
      'www-authenticate': ['Basic realm="Registry Realm"'],
      'content-type': ['application/json; charset=utf-8'],
      'docker-distribution-api-version': ['registry/2.0'],
      'x-content-type-options': ['nosniff'],
    })
    expect(answer.text).toBe('{"errors":[{"code":"UNAUTHORIZED","message":"authentication required","detail":null}]}\n')
  })

  test('a refused request tells what it needed; whoever logs in may do everything', async () => {
    const refused = await ask(port, 'GET', '/v2/team/app/tags/list')
    expect(refused.text).toBe(
      '{"errors":[{"code":"UNAUTHORIZED","message":"authentication required","detail":[{"Type":"repository","Class":"","Name":"team/app","Action":"pull"}]}]}\n',
    )
    const headers = basic('alice', 'secret')
    expect((await ask(port, 'GET', '/v2/_catalog', { headers })).text).toBe('{"repositories":[]}\n')
    expect((await ask(port, 'POST', '/v2/team/app/blobs/uploads/', { headers, body: '' })).status).toBe(202)
    await expect(pushImage(port, 'team/app', 'x')).rejects.toThrow('401')
  })

  test('no password comes into the log', async () => {
    await ask(port, 'GET', '/v2/', { headers: basic('alice', 'very-secret-word') })
    expect(registry.log.join('')).not.toContain('very-secret-word')
    expect(registry.log.join('')).not.toContain(basic('alice', 'very-secret-word').Authorization.slice(6))
  })
})
