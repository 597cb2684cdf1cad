import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { parseQuery } from './call.ts'
import { createRoutes, type Handlers, neededAccess, parseTarget, type Target } from './routes.ts'

const handler = () => new Response()
const handlers: Handlers = {
  blobs: { get: handler, delete: handler },
  manifests: { get: handler, put: handler, delete: handler },
  uploads: { start: handler, status: handler, append: handler, finish: handler, cancel: handler },
  tags: { list: handler },
  referrers: { list: handler },
  catalog: { list: handler },
  overview: { repositories: handler, tags: handler },
  trash: { purge: handler },
}

describe('a path names', () => {
  const rows: [string, string, Target | undefined][] = [
    ['the base', '/v2/', { resource: 'base', name: '', reference: '' }],
    ['the base without its slash', '/v2', { resource: 'base', name: '', reference: '' }],
    ['the catalog', '/v2/_catalog', { resource: 'catalog', name: '', reference: '' }],
    ['tags', '/v2/a/b/tags/list', { resource: 'tags', name: 'a/b', reference: '' }],
    ['a manifest', '/v2/a/manifests/v1', { resource: 'manifest', name: 'a', reference: 'v1' }],
    [
      'a manifest of a repository called manifests',
      '/v2/manifests/manifests/v1',
      { resource: 'manifest', name: 'manifests', reference: 'v1' },
    ],
    [
      'a manifest of a repository with blobs in its name',
      '/v2/a/blobs/uploads/manifests/x',
      { resource: 'manifest', name: 'a/blobs/uploads', reference: 'x' },
    ],
    ['a blob', '/v2/a/blobs/sha256:x', { resource: 'blob', name: 'a', reference: 'sha256:x' }],
    ['uploads', '/v2/a/b/blobs/uploads/', { resource: 'uploads', name: 'a/b', reference: '' }],
    ['uploads without their slash', '/v2/a/blobs/uploads', { resource: 'uploads', name: 'a', reference: '' }],
    ['an upload', '/v2/a/blobs/uploads/id', { resource: 'upload', name: 'a', reference: 'id' }],
    ['referrers', '/v2/a/referrers/sha256:x', { resource: 'referrers', name: 'a', reference: 'sha256:x' }],
    ['an overview of tags', '/v2/a/b/_berth/tags/list', { resource: 'tags-overview', name: 'a/b', reference: '' }],
    [
      'an overview of repositories',
      '/v2/_berth/catalog/list',
      { resource: 'catalog-overview', name: '', reference: '' },
    ],
    [
      'what is in the trash',
      '/v2/a/b/_berth/trash/sha256:x',
      { resource: 'trash', name: 'a/b', reference: 'sha256:x' },
    ],
    ['nothing: the trash of no repository', '/v2/_berth/trash/sha256:x', undefined],
    ['nothing: the trash of a repository called trash', '/v2/a/trash/sha256:x', undefined],
    ['nothing: the whole trash', '/v2/a/_berth/trash/', undefined],
    ['nothing: a catalog of a repository', '/v2/a/_berth/catalog/list', undefined],
    ['nothing: a verb without a name', '/v2/manifests/v1', undefined],
    ['nothing: an unknown verb', '/v2/a/things/x', undefined],
    ['nothing: a verb without a reference', '/v2/a/manifests/', undefined],
    ['nothing: tags of another kind', '/v2/a/tags/x', undefined],
    ['nothing: another root', '/v1/a/manifests/x', undefined],
    ['nothing: uploads outside blobs', '/v2/a/uploads/x', undefined],
  ]
  test.each(rows)('%s', (_, path, expected) => {
    expect(parseTarget(path)).toEqual(expected)
  })

  test('something or nothing, whatever it is', () => {
    fc.assert(
      fc.property(fc.string(), (text) => parseTarget(`/v2/${text}`) === undefined || text.length >= 0),
      { seed: 20_260_101 },
    )
  })
})

describe('the table of routes', () => {
  const routes = createRoutes(handlers)

  test('has each resource and method once', () => {
    const keys = routes.map(({ resource, method }) => `${resource} ${method}`)
    expect(new Set(keys).size).toBe(keys.length)
  })

  test('answers HEAD wherever it answers GET', () => {
    const of = (method: string) => routes.filter((route) => route.method === method).map(({ resource }) => resource)
    expect(of('HEAD')).toEqual(of('GET'))
  })

  test('asks for a right in every row but the login', () => {
    for (const { resource, access } of routes) {
      const needed = neededAccess(access, 'a', parseQuery(''))
      expect([resource, needed.length > 0]).toEqual([resource, resource !== 'base'])
    }
  })

  test('asks as registry:2 does', () => {
    const scopes = Object.fromEntries(
      routes.map(({ resource, method, access }) => [
        `${method} ${resource}`,
        neededAccess(access, 'a', parseQuery(''))
          .map(({ action }) => action)
          .join(','),
      ]),
    )
    expect(scopes).toEqual({
      'GET base': '',
      'HEAD base': '',
      'GET catalog': '*',
      'GET catalog-overview': '*',
      'HEAD catalog': '*',
      'HEAD catalog-overview': '*',
      'GET tags': 'pull',
      'GET tags-overview': 'pull',
      'HEAD tags': 'pull',
      'HEAD tags-overview': 'pull',
      'GET manifest': 'pull',
      'HEAD manifest': 'pull',
      'PUT manifest': 'pull,push',
      'DELETE manifest': 'delete',
      'GET blob': 'pull',
      'HEAD blob': 'pull',
      'DELETE blob': 'delete',
      'POST uploads': 'pull,push',
      'GET upload': 'pull',
      'HEAD upload': 'pull',
      'PATCH upload': 'pull,push',
      'PUT upload': 'pull,push',
      'DELETE upload': 'delete',
      'GET referrers': 'pull',
      'HEAD referrers': 'pull',
      'DELETE trash': 'delete',
    })
  })

  test('asks for pull on the repository that a blob is mounted from', () => {
    expect(neededAccess('mount', 'a', parseQuery('mount=x&from=b'))).toEqual([
      { type: 'repository', name: 'a', action: 'pull' },
      { type: 'repository', name: 'a', action: 'push' },
      { type: 'repository', name: 'b', action: 'pull' },
    ])
    expect(neededAccess('mount', 'a', parseQuery('mount=x&from=a'))).toHaveLength(2)
    expect(neededAccess('mount', 'a', parseQuery('from=b'))).toHaveLength(2)
  })

  test('marks everything that changes something as writing', () => {
    for (const { method, writes } of routes) expect(writes === true).toBe(method !== 'GET' && method !== 'HEAD')
  })
})
