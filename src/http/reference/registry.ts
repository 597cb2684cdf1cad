import { MEDIA_TYPES } from '../../oci/media-type.ts'
import { createRoutes, type Handlers, type Resource, type Route } from '../routes.ts'
import { EXTENSIONS } from './extensions.ts'
import {
  type Answer,
  answersOf,
  type Described,
  json,
  type PathItems,
  parametersOf,
  refusalsOf,
  schemaOf,
} from './operation.ts'
import {
  digest,
  ifNoneMatch,
  last,
  n,
  name,
  ofHeader,
  ofQuery,
  type Place,
  reference,
  upload,
  wanted,
} from './place.ts'

const manifest: Answer['content'] = Object.fromEntries(
  [MEDIA_TYPES.ociManifest, MEDIA_TYPES.ociIndex, MEDIA_TYPES.dockerManifest, MEDIA_TYPES.dockerList].map((type) => [
    type,
    schemaOf('Manifest'),
  ]),
)
const bytes = { 'application/octet-stream': { type: 'string', format: 'binary' } }
const progress: Answer = {
  description: 'Where the upload stands',
  headers: ['Location', 'Range', 'Docker-Upload-UUID'],
}
const created: Answer = { description: 'The repository has the blob', headers: ['Location', 'Docker-Content-Digest'] }
const unchanged: Answer = { description: 'It is what If-None-Match names', headers: ['Docker-Content-Digest', 'ETag'] }
const accepted: Answer = { description: 'Deleted' }

/** What `routes.ts` cannot say of its rows. */
const PLACES: Record<Resource, Place> = {
  base: {
    path: '/v2/',
    parameters: [],
    methods: {
      GET: {
        id: 'checkSupport',
        summary: 'Is this a registry, and is the login right?',
        description: 'OCI: end-1. `docker login` asks it.',
        answers: { 200: { description: 'Yes', content: json('Nothing') } },
      },
    },
  },
  catalog: {
    path: '/v2/_catalog',
    parameters: [],
    methods: {
      GET: {
        id: 'listCatalog',
        summary: 'Names of repositories',
        description: 'A token that holds no right on the catalog, and did not ask for it, lists what it may pull.',
        parameters: [n('Names in a page: 100 unless told, at most `catalog.maxentries`'), last],
        answers: { 200: { description: 'A page, by name', content: json('Catalog'), some: ['Link'] } },
        errors: ['PAGINATION_NUMBER_INVALID'],
      },
    },
  },
  tags: {
    path: '/v2/{name}/tags/list',
    parameters: [name],
    methods: {
      GET: {
        id: 'listTags',
        summary: 'Names of tags',
        description: 'OCI: end-8a, end-8b.',
        parameters: [n('Names in a page, at most `tags.maxtags`; absent: all of them'), last],
        answers: { 200: { description: 'A page, by name', content: json('TagNames'), some: ['Link'] } },
        errors: ['NAME_UNKNOWN', 'PAGINATION_NUMBER_INVALID'],
      },
    },
  },
  manifest: {
    path: '/v2/{name}/manifests/{reference}',
    parameters: [name, reference],
    methods: {
      GET: {
        id: 'getManifest',
        summary: 'A manifest, byte for byte as it was pushed',
        description:
          'OCI: end-3. Where Accept does not name the type: an index by tag answers with the manifest for linux/amd64, as registry:2 does; Docker’s own manifest is sent all the same; of others, 404 `MANIFEST_UNKNOWN` says which type to accept.',
        parameters: [
          ofHeader('Accept', 'Media types that the client can read'),
          ifNoneMatch,
          ofQuery('look', 'Present: does not count as a pull'),
        ],
        answers: {
          200: { description: 'The manifest', headers: ['Docker-Content-Digest', 'ETag'], content: manifest },
          304: unchanged,
        },
        errors: ['MANIFEST_UNKNOWN', 'TAG_INVALID', 'DIGEST_INVALID'],
      },
      PUT: {
        id: 'putManifest',
        summary: 'Pushes a manifest, and points tags to it',
        description:
          'OCI: end-7. What it names must be in the repository. The answer comes when manifest and tags are on the disk. 403 `DENIED`: a tag is immutable, a quota is used up, or the disk has too little room.',
        parameters: [
          {
            ...ofQuery('tag', 'Further tags, up to 100; the reference may be a digest then'),
            schema: { type: 'array', items: { type: 'string' } },
          },
        ],
        body: { description: 'At most 4 MiB', content: manifest ?? {}, required: true },
        answers: {
          201: {
            description: 'Pushed',
            headers: ['Location', 'Docker-Content-Digest'],
            some: ['OCI-Subject', 'OCI-Tag'],
          },
        },
        errors: [
          'MANIFEST_INVALID',
          'MANIFEST_TOO_LARGE',
          'MANIFEST_BLOB_UNKNOWN',
          'TAG_INVALID',
          'DIGEST_INVALID',
          'DENIED',
        ],
        streams: true,
      },
      DELETE: {
        id: 'deleteManifest',
        summary: 'Deletes a tag alone (by tag), or a manifest with all of its tags (by digest)',
        description: 'OCI: end-9. Both can be restored from the trash. 403 `DENIED`: a tag is immutable.',
        answers: { 202: accepted },
        errors: ['MANIFEST_UNKNOWN', 'TAG_INVALID', 'DIGEST_INVALID', 'DENIED'],
      },
    },
  },
  blob: {
    path: '/v2/{name}/blobs/{digest}',
    parameters: [name, digest],
    methods: {
      GET: {
        id: 'getBlob',
        summary: 'The bytes of a blob',
        description: 'OCI: end-2. HEAD of a blob that waits for collection begins its delay anew.',
        parameters: [
          ofHeader('Range', 'One range of bytes'),
          ofHeader('If-Range', 'The ETag that the range is of'),
          ifNoneMatch,
        ],
        answers: {
          200: {
            description: 'All of it',
            headers: ['Docker-Content-Digest', 'ETag', 'Accept-Ranges', 'Cache-Control'],
            content: bytes,
          },
          206: {
            description: 'The range',
            headers: ['Docker-Content-Digest', 'ETag', 'Accept-Ranges', 'Content-Range'],
            content: bytes,
          },
          304: unchanged,
          416: { description: 'It has no such bytes', headers: ['Content-Range'] },
        },
        errors: ['BLOB_UNKNOWN', 'DIGEST_INVALID'],
      },
      DELETE: {
        id: 'deleteBlob',
        summary: 'Takes a blob out of a repository',
        description: 'OCI: end-10. 403 `DENIED`: a manifest of the repository needs it.',
        answers: { 202: accepted },
        errors: ['BLOB_UNKNOWN', 'DIGEST_INVALID', 'DENIED'],
      },
    },
  },
  uploads: {
    path: '/v2/{name}/blobs/uploads/',
    parameters: [name],
    methods: {
      POST: {
        id: 'startUpload',
        summary: 'Begins an upload, takes a whole blob at once, or mounts one',
        description:
          'OCI: end-4a, end-4b, end-11. With `mount`, a blob that another repository has, and the caller may pull there, is mounted (201); where it is not found, an upload begins (202).',
        parameters: [
          ofQuery('digest', 'The body is the whole blob, of this digest'),
          ofQuery('mount', 'Digest of a blob to mount'),
          ofQuery('from', 'Repository that it is in; absent: any that the caller may pull'),
        ],
        body: { description: 'With `digest`: the blob', content: bytes },
        answers: {
          201: created,
          202: { ...progress, description: 'The upload has begun', some: ['OCI-Chunk-Min-Length'] },
        },
        errors: ['DIGEST_INVALID', 'SIZE_INVALID', 'DENIED'],
        streams: true,
      },
    },
  },
  upload: {
    path: '/v2/{name}/blobs/uploads/{upload}',
    parameters: [name, upload],
    methods: {
      GET: {
        id: 'uploadStatus',
        summary: 'How far an upload is',
        description: 'OCI: end-13.',
        answers: { 204: progress },
        errors: ['BLOB_UPLOAD_UNKNOWN'],
      },
      PATCH: {
        id: 'appendToUpload',
        summary: 'Adds to an upload: a stream, or a chunk with Content-Range',
        description:
          'OCI: end-5. What arrived stays when the body ends early; the upload goes on from the Range that its status has.',
        parameters: [
          ofHeader('Content-Range', '`FIRST-LAST` of the chunk, without a unit'),
          ofQuery('digest-algorithm', '`sha512`, where the digest will be one'),
        ],
        body: { description: 'Bytes', content: bytes, required: true },
        answers: { 202: { ...progress, description: 'They are there' } },
        errors: ['BLOB_UPLOAD_UNKNOWN', 'DIGEST_INVALID', 'SIZE_INVALID', 'RANGE_INVALID', 'DENIED'],
        streams: true,
      },
      PUT: {
        id: 'finishUpload',
        summary: 'Ends an upload with the digest of the whole',
        description: 'OCI: end-6. The answer comes when the blob is on the disk.',
        parameters: [wanted, ofHeader('Content-Range', '`FIRST-LAST` of the last chunk')],
        body: { description: 'The last bytes, if any', content: bytes },
        answers: { 201: created },
        errors: ['BLOB_UPLOAD_UNKNOWN', 'DIGEST_INVALID', 'SIZE_INVALID', 'RANGE_INVALID', 'DENIED'],
        streams: true,
      },
      DELETE: {
        id: 'cancelUpload',
        summary: 'Gives an upload up',
        description: 'OCI: end-14. A token to push suffices.',
        answers: { 204: { description: 'It is gone', headers: ['Docker-Upload-UUID'] } },
        errors: ['BLOB_UPLOAD_UNKNOWN'],
      },
    },
  },
  referrers: {
    path: '/v2/{name}/referrers/{digest}',
    parameters: [name, digest],
    methods: {
      GET: {
        id: 'listReferrers',
        summary: 'Manifests whose subject is a digest: signatures, attestations, bills of materials',
        description:
          'OCI: end-12a, end-12b. An empty index where there is none. What clients keep under the fallback tag is among them.',
        parameters: [ofQuery('artifactType', 'Only those of this type'), last],
        answers: {
          200: {
            description: 'An index, by digest',
            content: { [MEDIA_TYPES.ociIndex]: schemaOf('Referrers') },
            some: ['Link', 'OCI-Filters-Applied'],
          },
        },
        errors: ['DIGEST_INVALID'],
      },
    },
  },
  ...EXTENSIONS,
}

/** What the rules of access in `routes.ts` mean, as scopes of a token. */
export const SCOPES: Record<Route['access'], string> = {
  login: 'a token, or a login',
  catalog: '`registry:catalog:*`',
  pull: '`repository:NAME:pull`',
  push: '`repository:NAME:pull,push`',
  mount: '`repository:NAME:pull,push`, and `repository:FROM:pull` for a mount',
  delete: '`repository:NAME:delete`',
}

/** Where an operation says what a token needs for it. */
export const SCOPE_KEY = 'x-berth-scope'

/** THE table, to read: nothing of it can be called. */
export function registryRoutes(): Route[] {
  return createRoutes(UNUSED)
}

/** Every route of THE table. @throws Error for one without a description */
export function registryPaths(): PathItems {
  const paths: PathItems = {}
  for (const route of registryRoutes()) {
    const { path } = PLACES[route.resource]
    const methods = paths[path] ?? {}
    methods[route.method.toLowerCase()] = operationOf(route)
    paths[path] = methods
  }
  return paths
}

function operationOf(route: Route): object {
  const { path, parameters, methods } = PLACES[route.resource]
  const isHead = route.method === 'HEAD'
  const described = methods[route.method === 'HEAD' ? 'GET' : route.method]
  if (described === undefined) throw new Error(`${route.method} ${path} has no description in reference/registry.ts`)
  const { id, summary, description, body, errors = [], streams } = described
  const name = parameters.length > 0 ? (['NAME_INVALID'] as const) : []
  const off = route.writes === true ? (['UNSUPPORTED'] as const) : []
  const codes = ['UNAUTHORIZED', ...name, ...errors, ...off, 'TOOMANYREQUESTS', 'UNKNOWN', 'UNAVAILABLE'] as const
  return {
    operationId: isHead ? `${id}Head` : id,
    tags: ['registry'],
    summary: isHead ? `The headers of GET: ${summary}` : summary,
    ...(description === undefined ? {} : { description: `${description}${whenOff(route)}` }),
    [SCOPE_KEY]: SCOPES[route.access],
    security: route.access === 'login' ? [{ bearer: [] }, { basic: [] }] : [{ bearer: [] }, { basic: [] }, {}],
    parameters: parametersOf([...parameters, ...(described.parameters ?? [])]),
    ...(body === undefined || isHead ? {} : { requestBody: bodyOf(body) }),
    // Refusals first: an answer of its own at the same status (416 of a range) stands.
    responses: answersOf({ ...refusalsOf(codes, streams), ...described.answers }, isHead),
  }
}

function whenOff({ deletes, writes }: Route): string {
  if (deletes) return ' 405: deleting is off (`storage.delete.enabled`), or the registry is read-only.'
  return writes ? ' 405: the registry is read-only.' : ''
}

export function bodyOf({ description, content, required = false }: NonNullable<Described['body']>): object {
  const types = Object.entries(content).map(([type, schema]) => [type, { schema }])
  return { description, required, content: Object.fromEntries(types) }
}

const unused = () => new Response()
const UNUSED: Handlers = {
  blobs: { get: unused, delete: unused },
  manifests: { get: unused, put: unused, delete: unused },
  uploads: { start: unused, status: unused, append: unused, finish: unused, cancel: unused },
  tags: { list: unused },
  referrers: { list: unused },
  catalog: { list: unused },
  overview: { repositories: unused, tags: unused },
  trash: { purge: unused },
}
