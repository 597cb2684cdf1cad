import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import { digestOf } from '../../src/oci/digest.ts'
import { startRegistry, type TestRegistry } from '../start-registry.ts'
import { bytesOf, imageManifest, must, placeOf, pushBlob, pushImage, pushManifest } from './content.ts'
import { ask } from './exchange.ts'
import { bearer, type Issuer, repository, SERVICE, tokenOf, trusting } from './issuer.ts'
import { expectRefused, IMAGE, type Needed, need, startTokenRegistry, type TokenRegistry } from './token-registry.ts'

const digest = digestOf(bytesOf('x'))

let tokens: TokenRegistry
let issuer: Issuer
let stranger: Issuer
let port: number
beforeAll(async () => {
  tokens = await startTokenRegistry()
  ;({ issuer, stranger } = tokens)
  port = tokens.registry.port
})
afterAll(() => tokens.stop())

describe('without a token every route challenges with what it needs, before anything else is looked at', () => {
  const pull = need('repository', IMAGE, 'pull')
  const push = need('repository', IMAGE, 'pull', 'push')
  const remove = need('repository', IMAGE, 'delete')
  const rows: [string, string, Needed[] | null, string | undefined][] = [
    ['GET', '/v2/', null, undefined],
    ['GET', '/v2', null, undefined],
    ['GET', '/v2/_catalog', need('registry', 'catalog', '*'), 'registry:catalog:*'],
    ['GET', `/v2/${IMAGE}/tags/list`, pull, `repository:${IMAGE}:pull`],
    ['GET', `/v2/${IMAGE}/tags/list?n=x`, pull, `repository:${IMAGE}:pull`],
    ['GET', `/v2/${IMAGE}/manifests/tag1`, pull, `repository:${IMAGE}:pull`],
    ['GET', `/v2/${IMAGE}/manifests/none`, pull, `repository:${IMAGE}:pull`],
    ['GET', `/v2/${IMAGE}/blobs/${digest}`, pull, `repository:${IMAGE}:pull`],
    ['GET', `/v2/${IMAGE}/blobs/not-a-digest`, pull, `repository:${IMAGE}:pull`],
    ['GET', `/v2/${IMAGE}/blobs/uploads/123`, pull, `repository:${IMAGE}:pull`],
    ['GET', `/v2/${IMAGE}/referrers/${digest}`, pull, `repository:${IMAGE}:pull`],
    ['PUT', `/v2/${IMAGE}/manifests/tag1`, push, `repository:${IMAGE}:pull,push`],
    ['POST', `/v2/${IMAGE}/blobs/uploads/`, push, `repository:${IMAGE}:pull,push`],
    ['POST', `/v2/${IMAGE}/blobs/uploads/?digest=${digest}`, push, `repository:${IMAGE}:pull,push`],
    ['PATCH', `/v2/${IMAGE}/blobs/uploads/123`, push, `repository:${IMAGE}:pull,push`],
    ['PUT', `/v2/${IMAGE}/blobs/uploads/123`, push, `repository:${IMAGE}:pull,push`],
    ['DELETE', `/v2/${IMAGE}/manifests/tag1`, remove, `repository:${IMAGE}:delete`],
    ['DELETE', `/v2/${IMAGE}/_berth/trash/${digest}`, remove, `repository:${IMAGE}:delete`],
    ['DELETE', `/v2/${IMAGE}/blobs/${digest}`, remove, `repository:${IMAGE}:delete`],
    ['DELETE', `/v2/${IMAGE}/blobs/uploads/123`, remove, `repository:${IMAGE}:delete`],
    [
      'POST',
      `/v2/${IMAGE}/blobs/uploads/?mount=${digest}&from=a/b`,
      [...push, ...need('repository', 'a/b', 'pull')],
      `repository:${IMAGE}:pull,push repository:a/b:pull`,
    ],
    ['POST', `/v2/${IMAGE}/blobs/uploads/?mount=${digest}`, push, `repository:${IMAGE}:pull,push`],
    ['POST', `/v2/${IMAGE}/blobs/uploads/?mount=${digest}&from=${IMAGE}`, push, `repository:${IMAGE}:pull,push`],
    ['POST', `/v2/${IMAGE}/blobs/uploads/?from=a/b`, push, `repository:${IMAGE}:pull,push`],
  ]
  test.each(rows)('%s %s', async (method, path, detail, scope) => {
    const body = method === 'GET' || method === 'DELETE' ? {} : { body: 'x' }
    expectRefused(await ask(port, method, path, body), detail, scope)
    if (method !== 'GET') return
    const head = await ask(port, 'HEAD', path)
    expect(head).toMatchObject({ status: 401, text: '' })
    expect(head.headers['www-authenticate']).toContain(`service="${SERVICE}"`)
  })

  test.each([
    ['the catalog', 'GET', '/v2/_catalog', '145'],
    ['tags', 'GET', `/v2/${IMAGE}/tags/list`, '154'],
    ['a deletion', 'DELETE', `/v2/${IMAGE}/manifests/${digest}`, '156'],
  ])('%s: as many bytes as registry:2 sends', async (_, method, path, length) => {
    expect((await ask(port, method, path)).headers['content-length']).toBe(length)
  })

  test.each([
    ['a preflight', 'OPTIONS', '/v2/', 200],
    ['a preflight of a push', 'OPTIONS', `/v2/${IMAGE}/manifests/tag1`, 200],
    ['the root', 'GET', '/', 200],
    ['an unknown route', 'GET', '/v2/a/things/b', 404],
    ['a name that is none', 'GET', '/v2/UPPER/tags/list', 400],
    ['a method that is none', 'POST', '/v2/_catalog', 405],
  ])('%s is not asked for one', async (_, method, path, status) => {
    const answer = await ask(port, method, path)
    expect(answer.status).toBe(status)
    expect(answer.headers['www-authenticate']).toBeUndefined()
  })

  test('a name of a repository cannot write into the challenge', async () => {
    const from = encodeURIComponent('a"\r\nX-Evil: 1,b="é')
    const answer = await ask(port, 'POST', `/v2/${IMAGE}/blobs/uploads/?mount=${digest}&from=${from}`, { body: '' })
    expect(answer.status).toBe(401)
    expect(answer.headers['x-evil']).toBeUndefined()
    expect(answer.headers['www-authenticate']).toContain('repository:a\\"\\r\\nX-Evil: 1,b=\\"\\u00e9:pull')
  })
})

describe('without credentials, where pulling is open to all', () => {
  let open: TestRegistry
  beforeAll(async () => {
    open = await startRegistry({
      env: trusting(issuer, join(tokens.folder, 'open.pem')),
      change: (config) => {
        config.auth.anonymous = 'pull'
      },
    })
    const headers = bearer(tokenOf(issuer, [repository(IMAGE, 'pull', 'push')]))
    for (const content of ['config', 'layer']) await pushBlob(open.port, IMAGE, content, headers)
    await pushManifest(open.port, IMAGE, 'tag1', imageManifest('config', ['layer']), undefined, headers)
  })
  afterAll(() => open.stop())

  test.each([
    ['tags', 'GET', `/v2/${IMAGE}/tags/list`, 200],
    ['a manifest', 'GET', `/v2/${IMAGE}/manifests/tag1`, 200],
    ['a blob', 'GET', `/v2/${IMAGE}/blobs/${digestOf(bytesOf('layer'))}`, 200],
    ['referrers', 'GET', `/v2/${IMAGE}/referrers/${digest}`, 200],
    ['what is not there', 'GET', `/v2/${IMAGE}/manifests/none`, 404],
    ['the base: clients learn there to log in', 'GET', '/v2/', 401],
    ['the catalog', 'GET', '/v2/_catalog', 401],
    ['a push', 'POST', `/v2/${IMAGE}/blobs/uploads/`, 401],
    ['a deletion', 'DELETE', `/v2/${IMAGE}/manifests/tag1`, 401],
  ])('%s', async (_, method, path, status) => {
    expect((await ask(open.port, method, path)).status).toBe(status)
  })

  test.each<[string, string[], number]>([
    ['pushes', ['pull', 'push'], 204],
    ['deletes', ['delete'], 204],
    ['pulls', ['pull'], 401],
    ['pushes and may not pull', ['push'], 401],
  ])('an upload is ended by whoever %s', async (_, actions, status) => {
    const begun = await ask(open.port, 'POST', `/v2/${IMAGE}/blobs/uploads/`, {
      body: '',
      headers: bearer(tokenOf(issuer, [repository(IMAGE, 'pull', 'push')])),
    })
    const { pathname } = new URL(begun.headers.location ?? '', 'http://x')
    const headers = bearer(tokenOf(issuer, [repository(IMAGE, ...actions)]))
    expect((await ask(open.port, 'DELETE', pathname, { headers })).status).toBe(status)
    const elsewhere = bearer(tokenOf(issuer, [repository('other', 'pull', 'push')]))
    expect((await ask(open.port, 'DELETE', pathname, { headers: elsewhere })).status).toBe(401)
  })

  test('a token that does not hold is refused all the same', async () => {
    const headers = bearer(tokenOf(stranger, [repository(IMAGE, 'pull')]))
    expect((await ask(open.port, 'GET', `/v2/${IMAGE}/tags/list`, { headers })).status).toBe(401)
  })
})

test('no authentication: everybody may do everything, whatever the header says', async () => {
  const free = await startRegistry()
  try {
    await pushImage(free.port, 'a', 'b')
    for (const Authorization of ['Basic eDp5', 'Bearer x', 'nonsense', '']) {
      expect((await ask(free.port, 'GET', '/v2/a/tags/list', { headers: { Authorization } })).status).toBe(200)
    }
    const answer = await must(202, ask(free.port, 'POST', '/v2/a/blobs/uploads/'))
    expect(placeOf(answer)).toStartWith('/v2/a/blobs/uploads/')
  } finally {
    await free.stop()
  }
})
