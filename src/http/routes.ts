import { type Access, CATALOG, repositoryAccess } from '../oci/scope.ts'
import type { Handler, Query } from './call.ts'
import { checkSupport } from './v2/base.ts'
import type { BlobHandlers } from './v2/blobs.ts'
import type { ManifestHandlers } from './v2/manifests.ts'
import type { UploadHandlers } from './v2/uploads.ts'

export interface Handlers {
  blobs: BlobHandlers
  manifests: ManifestHandlers
  uploads: UploadHandlers
  tags: { list: Handler }
  referrers: { list: Handler }
  catalog: { list: Handler }
  overview: { repositories: Handler; tags: Handler }
  trash: { purge: Handler }
}

/** What a path can name. */
export type Resource =
  | 'base'
  | 'catalog'
  | 'tags'
  | 'manifest'
  | 'blob'
  | 'uploads'
  | 'upload'
  | 'referrers'
  | 'catalog-overview'
  | 'tags-overview'
  | 'trash'

/**
 * What a route asks of its caller:
 * `login` a caller that is known (or an open registry), `catalog`, `pull`, `push` (which needs pull too, as registry:2
 * asks), `mount` (push, and pull on the repository named by `from`), `delete`.
 */
export type AccessRule = 'login' | 'catalog' | 'pull' | 'push' | 'mount' | 'delete'

export type Method = 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

export interface Route {
  resource: Resource
  method: Method
  access: AccessRule
  /** What a token may have in place of that. */
  suffices?: AccessRule
  handle: Handler
  /** Not available while the registry is read-only. */
  writes?: true
  /** Available only where `storage.delete.enabled` says so. */
  deletes?: true
}

/** THE table. */
export function createRoutes(handlers: Handlers): Route[] {
  const { blobs, manifests, uploads, tags, referrers, catalog, overview, trash } = handlers
  return [
    { resource: 'base', method: 'GET', access: 'login', handle: checkSupport },
    { resource: 'base', method: 'HEAD', access: 'login', handle: checkSupport },
    { resource: 'catalog', method: 'GET', access: 'catalog', handle: catalog.list },
    { resource: 'catalog', method: 'HEAD', access: 'catalog', handle: catalog.list },
    { resource: 'tags', method: 'GET', access: 'pull', handle: tags.list },
    { resource: 'tags', method: 'HEAD', access: 'pull', handle: tags.list },
    { resource: 'manifest', method: 'GET', access: 'pull', handle: manifests.get },
    { resource: 'manifest', method: 'HEAD', access: 'pull', handle: manifests.get },
    { resource: 'manifest', method: 'PUT', access: 'push', handle: manifests.put, writes: true },
    { resource: 'manifest', method: 'DELETE', access: 'delete', handle: manifests.delete, writes: true, deletes: true },
    { resource: 'blob', method: 'GET', access: 'pull', handle: blobs.get },
    { resource: 'blob', method: 'HEAD', access: 'pull', handle: blobs.get },
    { resource: 'blob', method: 'DELETE', access: 'delete', handle: blobs.delete, writes: true, deletes: true },
    { resource: 'uploads', method: 'POST', access: 'mount', handle: uploads.start, writes: true },
    { resource: 'upload', method: 'GET', access: 'pull', handle: uploads.status },
    { resource: 'upload', method: 'HEAD', access: 'pull', handle: uploads.status },
    { resource: 'upload', method: 'PATCH', access: 'push', handle: uploads.append, writes: true },
    { resource: 'upload', method: 'PUT', access: 'push', handle: uploads.finish, writes: true },
    {
      // The original asks for `delete`, which few who push have: what they began would lie there until it expires.
      ...{ resource: 'upload', method: 'DELETE', access: 'delete', suffices: 'push' },
      ...{ handle: uploads.cancel, writes: true },
    },
    { resource: 'referrers', method: 'GET', access: 'pull', handle: referrers.list },
    { resource: 'referrers', method: 'HEAD', access: 'pull', handle: referrers.list },
    { resource: 'catalog-overview', method: 'GET', access: 'catalog', handle: overview.repositories },
    { resource: 'catalog-overview', method: 'HEAD', access: 'catalog', handle: overview.repositories },
    { resource: 'tags-overview', method: 'GET', access: 'pull', handle: overview.tags },
    { resource: 'tags-overview', method: 'HEAD', access: 'pull', handle: overview.tags },
    { resource: 'trash', method: 'DELETE', access: 'delete', handle: trash.purge, writes: true, deletes: true },
  ]
}

export interface Target {
  readonly resource: Resource
  readonly name: string
  readonly reference: string
}

/** The rights that a route needs for its target. */
export function neededAccess(rule: AccessRule, name: string, query: Query): Access[] {
  switch (rule) {
    case 'login':
      return []
    case 'catalog':
      return [CATALOG]
    case 'pull':
      return repositoryAccess(name, 'pull')
    case 'push':
      return repositoryAccess(name, 'pull', 'push')
    case 'mount': {
      const from = query.get('mount') === null ? null : query.get('from')
      const push = repositoryAccess(name, 'pull', 'push')
      return from === null || from === '' || from === name ? push : [...push, ...repositoryAccess(from, 'pull')]
    }
    case 'delete':
      return repositoryAccess(name, 'delete')
    default:
      return rule satisfies never
  }
}

/** Where Berth's own lists, and the trash, are (OCI Distribution Specification, "Extensions"). */
const EXTENSION = '/_berth'

/**
 * What a path below the prefix names, or undefined. Repository names have slashes, so paths are read from their end.
 * The name is not validated here.
 */
export function parseTarget(path: string): Target | undefined {
  if (path === '/v2/' || path === '/v2') return { resource: 'base', name: '', reference: '' }
  if (path === '/v2/_catalog' || path === '/v2/_catalog/') return { resource: 'catalog', name: '', reference: '' }
  if (!path.startsWith('/v2/')) return undefined

  const lastSlash = path.lastIndexOf('/')
  const verbSlash = path.lastIndexOf('/', lastSlash - 1)
  if (verbSlash < 4) return undefined
  const last = path.slice(lastSlash + 1)
  const verb = path.slice(verbSlash + 1, lastSlash)
  const name = path.slice(4, verbSlash)
  switch (verb) {
    case 'manifests':
      return last === '' ? undefined : { resource: 'manifest', name, reference: last }
    case 'tags':
      if (last !== 'list') return undefined
      // No part of a repository's name begins so.
      return name.endsWith(EXTENSION)
        ? { resource: 'tags-overview', name: name.slice(0, -EXTENSION.length), reference: '' }
        : { resource: 'tags', name, reference: '' }
    case 'catalog':
      return last === 'list' && `/${name}` === EXTENSION
        ? { resource: 'catalog-overview', name: '', reference: '' }
        : undefined
    case 'trash':
      return last !== '' && name.endsWith(EXTENSION)
        ? { resource: 'trash', name: name.slice(0, -EXTENSION.length), reference: last }
        : undefined
    case 'referrers':
      return last === '' ? undefined : { resource: 'referrers', name, reference: last }
    case 'blobs':
      if (last === 'uploads') return { resource: 'uploads', name, reference: '' }
      return last === '' ? undefined : { resource: 'blob', name, reference: last }
    case 'uploads': {
      if (!name.endsWith('/blobs')) return undefined
      const repository = name.slice(0, -'/blobs'.length)
      return last === ''
        ? { resource: 'uploads', name: repository, reference: '' }
        : { resource: 'upload', name: repository, reference: last }
    }
    default:
      return undefined
  }
}
