import { describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { isProbe, PROBE_PATHS } from '../probes.ts'
import { parseTarget } from '../routes.ts'
import { DOCUMENT, sampleOf, undescribed } from './described.fixture.ts'
import { apiMarkdown } from './markdown.ts'
import { registryRoutes } from './registry.ts'

interface Operation {
  operationId?: string
  tags?: string[]
  summary?: string
  parameters?: { in: string; name: string }[]
  responses: Record<string, { description?: string }>
}

const operations = Object.entries(DOCUMENT.paths).flatMap(([path, item]) =>
  Object.entries(item)
    .filter(([method]) => method !== 'servers')
    .map(([method, operation]) => ({ path, method: method.toUpperCase(), operation: operation as Operation })),
)

test('docs/api.md is what the document says: bin/berth api openapi --markdown > docs/api.md', async () => {
  expect(await Bun.file(join(import.meta.dir, '../../../docs/api.md')).text()).toBe(apiMarkdown(DOCUMENT))
})

describe('the document of all that is answered', () => {
  test('has each route of the registry, and no other', () => {
    const routes = registryRoutes().map(({ resource, method }) => `${method} ${resource}`)
    const described = operations.flatMap(({ path, method }) => {
      const target = parseTarget(sampleOf(path))
      return target === undefined ? [] : [`${method} ${target.resource}`]
    })
    expect(described.sort()).toEqual(routes.sort())
    expect(operations.filter(({ path }) => path.startsWith('/v2'))).toHaveLength(routes.length)
  })

  test('has each probe', () => {
    expect(PROBE_PATHS.every(isProbe)).toBe(true)
    expect(operations.map(({ path }) => path)).toEqual(expect.arrayContaining([...PROBE_PATHS]))
  })

  test('holds together', () => {
    const ids = operations.map(({ operation }) => operation.operationId)
    expect(ids).not.toContain(undefined)
    expect(new Set(ids).size).toBe(ids.length)
    const tags = DOCUMENT.tags.map(({ name }) => name)
    for (const { path, method, operation } of operations) {
      const named = [...path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name).sort()
      const declared = (operation.parameters ?? []).filter((parameter) => parameter.in === 'path')
      expect([method, path, declared.map(({ name }) => name).sort()]).toEqual([method, path, named])
      expect([path, operation.summary]).toEqual([path, expect.stringMatching(/\w/)])
      expect(tags).toContain(operation.tags?.[0] ?? '')
      for (const { description } of Object.values(operation.responses)) expect(description).toMatch(/\w/)
    }
  })

  test('names no schema that there is not, and none that is no schema', () => {
    const ajv = new Ajv2020({ strict: false, validateFormats: false })
    ajv.addSchema(DOCUMENT, 'all')
    for (const [, name = ''] of JSON.stringify(DOCUMENT).matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g)) {
      expect(DOCUMENT.components.schemas).toHaveProperty([name])
    }
    for (const name of Object.keys(DOCUMENT.components.schemas)) {
      expect(() => ajv.compile({ $ref: `all#/components/schemas/${name}` })).not.toThrow()
    }
  })
})

describe('an answer that is not as described is noticed', () => {
  const digest = `sha256:${'a'.repeat(64)}`
  const json = 'application/json; charset=utf-8'
  const challenge = { 'content-type': json, 'www-authenticate': 'Bearer' }
  const error = (code: string) => JSON.stringify({ errors: [{ code, message: 'x' }] })
  test.each<[string, string, number, Record<string, string>, string, string | undefined]>([
    ['none at all', 'GET /v2/a/tags/list', 200, { 'content-type': json }, '{"name":"a","tags":["x"]}', undefined],
    ['a status', 'GET /v2/a/tags/list', 418, {}, '', 'does not name this status'],
    [
      'a header that is missing',
      'GET /v2/',
      401,
      { 'content-type': json },
      error('UNAUTHORIZED'),
      'without WWW-Authenticate',
    ],
    [
      'a header of another form',
      'HEAD /v2/a/blobs/x',
      304,
      { etag: 'x', 'docker-content-digest': 'x' },
      '',
      'Docker-Content-Digest: x',
    ],
    ['a code', 'GET /v2/', 401, challenge, error('NOPE'), 'must be equal to one of the allowed values'],
    [
      'a key too many',
      'GET /v2/a/tags/list',
      200,
      { 'content-type': json },
      '{"name":"a","tags":[],"x":1}',
      'must NOT have additional',
    ],
    ['a type of content', 'GET /v2/a/tags/list', 200, { 'content-type': 'text/html' }, 'x', 'text/html is none of'],
    ['a body', 'DELETE /v2/a/blobs/x', 202, {}, 'x', 'nobody said that it has a body'],
    [
      'a key of the admin API that is missing',
      'GET /api/v1/me',
      200,
      { 'content-type': json },
      '{"account":"a"}',
      'must have required',
    ],
    ['nothing, where nobody knows the path', 'GET /v2/a/nothing', 404, {}, 'x', undefined],
    [
      'nothing, of a manifest',
      'GET /v2/a/manifests/x',
      200,
      { 'docker-content-digest': digest, etag: 'x' },
      '',
      undefined,
    ],
  ])('%s', (_, what, status, headers, text, problem) => {
    const [method = '', path = ''] = what.split(' ')
    const found = undescribed(method, path, { status, text, header: (name) => headers[name] })
    if (problem === undefined) expect(found).toBeUndefined()
    else expect(found).toContain(problem)
  })
})
