import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startRegistry, type TestRegistry } from '../start-registry.ts'
import { ask } from './exchange.ts'
import { bearer, createIssuer, type Issuer, tokenOf, trusting } from './issuer.ts'

const ORIGIN = 'https://ui.example'
const digest = `sha256:${'0'.repeat(64)}`

let folder: string
let issuer: Issuer
let registry: TestRegistry
let port: number
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'berth-test-'))
  issuer = await createIssuer(join(folder, 'issuer'))
  registry = await startRegistry({
    env: trusting(issuer, join(folder, 'root.pem')),
    change: (config) => {
      config.http.headers = {
        'Access-Control-Allow-Origin': [ORIGIN],
        'Access-Control-Allow-Methods': ['HEAD', 'GET', 'OPTIONS', 'DELETE'],
        'Access-Control-Allow-Headers': ['Authorization', 'Accept'],
        'Access-Control-Expose-Headers': ['Docker-Content-Digest'],
        'X-Content-Type-Options': ['nosniff'],
        // What an answer says itself stands, whatever the configuration adds.
        'Content-Type': ['text/html'],
        Location: ['https://elsewhere.example/'],
      }
    },
  })
  port = registry.port
})
afterAll(async () => {
  await registry.stop()
  rmSync(folder, { recursive: true, force: true })
})

const allowed = {
  'access-control-allow-origin': ORIGIN,
  'access-control-allow-methods': 'HEAD, GET, OPTIONS, DELETE',
  'access-control-allow-headers': 'Authorization, Accept',
  'access-control-expose-headers': 'Docker-Content-Digest',
  'x-content-type-options': 'nosniff',
}

describe("a browser's preflight needs no token, and gets the configured headers", () => {
  test.each([
    ['the base', '/v2/'],
    ['the catalog', '/v2/_catalog'],
    ['tags', '/v2/app/tags/list'],
    ['a manifest', '/v2/app/manifests/latest'],
    ['a blob', `/v2/app/blobs/${digest}`],
    ['uploads', '/v2/app/blobs/uploads/'],
    ['referrers', `/v2/app/referrers/${digest}`],
  ])('%s', async (_, path) => {
    const headers = {
      Origin: ORIGIN,
      'Access-Control-Request-Method': 'GET',
      'Access-Control-Request-Headers': 'authorization',
    }
    const answer = await ask(port, 'OPTIONS', path, { headers })
    expect(answer).toMatchObject({ status: 200, text: '' })
    expect(answer.headers).toMatchObject(allowed)
  })
})

test.each([
  ['401', '/v2/_catalog', {}, 401],
  ['200', '/v2/', 'token', 200],
  ['404 in JSON', '/v2/app/manifests/none', 'token', 404],
  ['404 in text', '/nowhere', {}, 404],
  ['400', '/v2/BAD/tags/list', {}, 400],
])('an answer with %s has the headers too, each once', async (_, path, who, status) => {
  const access = [{ type: 'repository', name: 'app', actions: ['pull'] }]
  const headers = who === 'token' ? bearer(tokenOf(issuer, access)) : {}
  const answer = await ask(port, 'GET', path, { headers })
  expect(answer.status).toBe(status)
  expect(answer.headers).toMatchObject(allowed)
  expect(answer.all['content-type']).toHaveLength(1)
  expect(answer.headers['content-type']).not.toContain('text/html')
})

test('a Location of ours is not replaced', async () => {
  const access = [{ type: 'repository', name: 'app', actions: ['pull', 'push'] }]
  const answer = await ask(port, 'POST', '/v2/app/blobs/uploads/', {
    headers: bearer(tokenOf(issuer, access)),
    body: '',
  })
  expect(answer.status).toBe(202)
  expect(answer.headers.location).toStartWith(`http://127.0.0.1:${port}/v2/app/blobs/uploads/`)
})
