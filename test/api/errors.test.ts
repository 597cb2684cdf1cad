import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { digestOf } from '../../src/oci/digest.ts'
import { startRegistry, type TestRegistry } from '../start-registry.ts'
import { bytesOf, codesOf, errorsOf, imageManifest, must, pushBlob, putManifest } from './content.ts'
import { ask } from './exchange.ts'

let registry: TestRegistry
let port: number
beforeAll(async () => {
  registry = await startRegistry({ env: { REGISTRY_STORAGE_DELETE_ENABLED: 'true' } })
  port = registry.port
  for (const content of ['config', 'layer']) await pushBlob(port, 'app', content)
})
afterAll(() => registry.stop())

const none = `sha256:${'0'.repeat(64)}`

describe('an error is JSON, exactly', () => {
  const rows: [string, string, string, number, string][] = [
    [
      'an unknown blob',
      'GET',
      `/v2/app/blobs/${none}`,
      404,
      `{"code":"BLOB_UNKNOWN","message":"blob unknown to registry","detail":"${none}"}`,
    ],
    [
      'an unknown upload',
      'GET',
      '/v2/app/blobs/uploads/x',
      404,
      '{"code":"BLOB_UPLOAD_UNKNOWN","message":"blob upload unknown to registry","detail":"x"}',
    ],
    [
      'an unknown tag',
      'GET',
      '/v2/app/manifests/x',
      404,
      '{"code":"MANIFEST_UNKNOWN","message":"manifest unknown","detail":"unknown tag=x"}',
    ],
    [
      'an unknown repository',
      'GET',
      '/v2/none/tags/list',
      404,
      '{"code":"NAME_UNKNOWN","message":"repository name not known to registry","detail":{"name":"none"}}',
    ],
    [
      'a digest that is none',
      'GET',
      '/v2/app/blobs/x',
      400,
      '{"code":"DIGEST_INVALID","message":"invalid digest: expected sha256 with 64 or sha512 with 128 lower-case hex digits","detail":"x"}',
    ],
    [
      'a page that is none',
      'GET',
      '/v2/_catalog?n=x',
      400,
      '{"code":"PAGINATION_NUMBER_INVALID","message":"invalid number of results requested","detail":{"n":"x"}}',
    ],
    [
      'a name that is none',
      'GET',
      '/v2/A/tags/list',
      400,
      '{"code":"NAME_INVALID","message":"invalid repository name","detail":{"name":"A","reason":"a repository name is lower-case letters and digits, joined by . _ __ or -, in parts separated by /"}}',
    ],
    [
      'a method that is none',
      'POST',
      '/v2/app/tags/list',
      405,
      '{"code":"UNSUPPORTED","message":"The operation is unsupported."}',
    ],
  ]
  test.each(rows)('%s', async (_, method, path, status, error) => {
    const body = method === 'POST' ? { body: '' } : {}
    const answer = await ask(port, method, path, body)
    expect(answer).toMatchObject({ status, text: `{"errors":[${error}]}\n` })
    expect(answer.all).toMatchObject({
      'content-type': ['application/json; charset=utf-8'],
      'docker-distribution-api-version': ['registry/2.0'],
      'content-length': [String(answer.body.length)],
    })
    if (method !== 'GET') return
    const head = await ask(port, 'HEAD', path)
    expect(head).toMatchObject({ status, text: '' })
    expect(head.headers).toMatchObject({
      'content-type': 'application/json; charset=utf-8',
      'docker-distribution-api-version': 'registry/2.0',
    })
  })
})

describe('a repository name', () => {
  const longest = `${'a'.repeat(127)}/${'b'.repeat(127)}`
  const good = [
    'a',
    '0',
    'a/b/c/d/e/f',
    'a.b',
    'a_b',
    'a__b',
    'a-b',
    'a---b',
    'a0/b1.c2_d3__e4-f5',
    'v2/v2',
    'tags/list',
    'blobs/uploads',
    'manifests',
    longest,
  ]
  test.each(good)('%s is one', async (name) => {
    for (const content of ['config', 'layer']) await pushBlob(port, name, content)
    await must(201, putManifest(port, name, 'latest', imageManifest('config', ['layer'])))
    expect((await ask(port, 'GET', `/v2/${name}/tags/list`)).text).toBe(`{"name":"${name}","tags":["latest"]}\n`)
    expect((await ask(port, 'GET', `/v2/${name}/blobs/${digestOf(bytesOf('layer'))}`)).text).toBe('layer')
  })

  const bad: [string, string][] = [
    ['capitals', 'App'],
    ['a hyphen in front', '-a'],
    ['a hyphen at the end', 'a-'],
    ['a dot in front', '.a'],
    ['two dots', 'a..b'],
    ['three underscores', 'a___b'],
    ['an underscore in front of a part', 'a/_b'],
    ['a dot and a hyphen', 'a.-b'],
    ['an empty part', 'a//b'],
    ['a slash in front', '/a'],
    ['a slash at the end', 'a/'],
    ['nothing', ''],
    ['a colon', 'localhost:5000/a'],
    ['a space, encoded', 'a%20b'],
    ['a line feed, encoded', 'a%0Ab'],
    ['a NUL, encoded', 'a%00b'],
    ['letters of other scripts, encoded', '%C3%A9'],
    ['half an encoding', 'a%2'],
    ['an encoding that is none', 'a%zz'],
    ['an encoding that is no UTF-8', 'a%ff'],
    ['an encoding of an encoding', 'a%252fb'],
    ['a way up, encoded', 'a%2f..%2fb'],
    ['an at sign', 'a@b'],
    ['a backslash, encoded', 'a%5cb'],
    ['256 characters', `${longest}c`],
    ['10,000 characters', 'a'.repeat(10_000)],
  ]
  test.each(bad)('with %s is none, on no route', async (_, name) => {
    const routes: [string, string][] = [
      ['GET', 'tags/list'],
      ['GET', 'manifests/latest'],
      ['PUT', 'manifests/latest'],
      ['DELETE', 'manifests/latest'],
      ['GET', `blobs/${none}`],
      ['DELETE', `blobs/${none}`],
      ['POST', 'blobs/uploads/'],
      ['PATCH', 'blobs/uploads/x'],
      ['GET', `referrers/${none}`],
    ]
    for (const [method, rest] of routes) {
      const answer = await ask(
        port,
        method,
        `/v2/${name}/${rest}`,
        method === 'GET' || method === 'DELETE' ? {} : { body: '' },
      )
      expect([method, rest, answer.status]).toEqual([method, rest, 400])
      expect(codesOf(answer)).toEqual(['NAME_INVALID'])
      // However long what came is: the answer is not.
      expect(answer.body.length).toBeLessThan(1000)
    }
  })

  test('that is too long is told so', async () => {
    const answer = await ask(port, 'GET', `/v2/${longest}c/tags/list`)
    expect(errorsOf(answer)[0]?.detail).toMatchObject({ reason: 'a repository name has at most 255 characters' })
  })

  test('with an encoded slash is the one with a slash', async () => {
    for (const content of ['config', 'layer']) await pushBlob(port, 'en/coded', content)
    await must(201, putManifest(port, 'en%2Fcoded', 'latest', imageManifest('config', ['layer'])))
    expect((await ask(port, 'GET', '/v2/en/coded/manifests/latest')).status).toBe(200)
  })
})

test('nobody learns the cause of an error of ours, but the log does', async () => {
  const broken = await startRegistry()
  await broken.app.close()
  try {
    const answer = await ask(broken.port, 'GET', '/v2/app/tags/list')
    expect(answer).toMatchObject({
      status: 500,
      text: '{"errors":[{"code":"UNKNOWN","message":"unknown error"}]}\n',
    })
    expect(answer.headers).toMatchObject({
      'content-type': 'application/json; charset=utf-8',
      'docker-distribution-api-version': 'registry/2.0',
    })
    expect(broken.log.join('')).toContain('level=error msg="response completed with error" err.code=unknown')
    expect(broken.log.join('')).toContain('http.request.uri=/v2/app/tags/list')
  } finally {
    await broken.stop()
  }
})
