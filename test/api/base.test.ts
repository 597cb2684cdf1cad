import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { startRegistry, type TestRegistry } from '../start-registry.ts'
import { ask } from './exchange.ts'

let registry: TestRegistry
beforeAll(async () => {
  registry = await startRegistry()
})
afterAll(() => registry.stop())

describe('OCI Distribution Specification 1.1, "Determining Support" (end-1)', () => {
  const rows: [string, string, string, string][] = [
    ['GET /v2/ answers two bytes of JSON', 'GET', '/v2/', '{}'],
    ['HEAD /v2/ answers the same headers without them', 'HEAD', '/v2/', ''],
    ['GET /v2 is answered in place, without a redirect', 'GET', '/v2', '{}'],
    ['a query is ignored', 'GET', '/v2/?a=b&&%zz', '{}'],
    ['a path with dots is the one it resolves to', 'GET', '/v2/x/../', '{}'],
  ]
  test.each(rows)('%s', async (_, method, path, body) => {
    const answer = await ask(registry.port, method, path)
    expect(answer).toMatchObject({ status: 200, text: body })
    expect(answer.all).toMatchObject({
      'content-type': ['application/json; charset=utf-8'],
      'content-length': ['2'],
      'docker-distribution-api-version': ['registry/2.0'],
    })
  })

  test.each(['POST', 'PUT', 'PATCH', 'DELETE'])('%s /v2/ is not supported, and Allow says what is', async (method) => {
    const answer = await ask(registry.port, method, '/v2/', { body: '' })
    expect(answer.status).toBe(405)
    expect(answer.headers).toMatchObject({
      allow: 'GET, HEAD, OPTIONS',
      'content-type': 'application/json; charset=utf-8',
      'docker-distribution-api-version': 'registry/2.0',
    })
    expect(answer.text).toBe('{"errors":[{"code":"UNSUPPORTED","message":"The operation is unsupported."}]}\n')
  })
})

describe('outside the API', () => {
  test('the root is empty and not cached, for probes of load balancers', async () => {
    const answer = await ask(registry.port, 'GET', '/')
    expect(answer).toMatchObject({ status: 200, text: '' })
    expect(answer.headers).toMatchObject({ 'cache-control': 'no-cache', 'content-length': '0' })
  })

  const rows: [string, string][] = [
    ['another version of the API', '/v1/_ping'],
    ['a name without a verb', '/v2/busybox'],
    ['an unknown verb', '/v2/busybox/things/x'],
    ['a verb without a reference', '/v2/busybox/manifests/'],
    ['tags without list', '/v2/busybox/tags/'],
    ['something below the catalog', '/v2/_catalog/x'],
    ['something else altogether', '/favicon.ico'],
    ['the token endpoint, where there is none', '/auth'],
  ]
  test.each(rows)('%s is 404 in plain text', async (_, path) => {
    for (const method of ['GET', 'HEAD', 'POST', 'DELETE']) {
      const answer = await ask(registry.port, method, path)
      expect(answer).toMatchObject({ status: 404, text: method === 'HEAD' ? '' : '404 page not found\n' })
      expect(answer.headers).toMatchObject({
        'content-type': 'text/plain; charset=utf-8',
        'x-content-type-options': 'nosniff',
        'docker-distribution-api-version': 'registry/2.0',
        'content-length': '19',
      })
    }
  })
})

describe('methods of each resource', () => {
  const id = '123'
  const digest = `sha256:${'a'.repeat(64)}`
  const rows: [string, string, string][] = [
    ['the catalog', '/v2/_catalog', 'GET, HEAD, OPTIONS'],
    ['tags', '/v2/a/tags/list', 'GET, HEAD, OPTIONS'],
    ['referrers', `/v2/a/referrers/${digest}`, 'GET, HEAD, OPTIONS'],
    ['a manifest', '/v2/a/manifests/x', 'GET, HEAD, PUT, DELETE, OPTIONS'],
    ['a blob', `/v2/a/blobs/${digest}`, 'GET, HEAD, DELETE, OPTIONS'],
    ['uploads', '/v2/a/blobs/uploads/', 'POST, OPTIONS'],
    ['an upload', `/v2/a/blobs/uploads/${id}`, 'GET, HEAD, PATCH, PUT, DELETE, OPTIONS'],
  ]
  test.each(rows)('%s says its own', async (_, path, allow) => {
    const options = await ask(registry.port, 'OPTIONS', path)
    expect(options).toMatchObject({ status: 200, text: '' })
    expect(options.headers.allow).toBe(allow)
    const others = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'].filter((method) => !allow.includes(method))
    expect(others.length).toBeGreaterThan(0)
    for (const method of others) {
      const answer = await ask(registry.port, method, path, { body: '' })
      expect([method, answer.status, answer.headers.allow]).toEqual([method, 405, allow])
    }
  })
})
