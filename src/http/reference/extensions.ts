import type { Resource } from '../routes.ts'
import { json } from './operation.ts'
import { digest, last, n, name, type Place } from './place.ts'

/** What Berth has besides the specification, where that keeps a place for it ("Extensions"). */
export const EXTENSIONS = {
  'catalog-overview': {
    path: '/v2/_berth/catalog/list',
    parameters: [],
    methods: {
      GET: {
        id: 'listCatalogOverview',
        summary: 'Repositories with sizes, pushes and pulls',
        description: 'An extension of Berth. Rights as for `/v2/_catalog`. A page may end early: Link leads on.',
        parameters: [n('Rows in a page, at most 100'), last],
        answers: { 200: { description: 'A page, by name', content: json('Repositories'), some: ['Link'] } },
        errors: ['PAGINATION_NUMBER_INVALID'],
      },
    },
  },
  'tags-overview': {
    path: '/v2/{name}/_berth/tags/list',
    parameters: [name],
    methods: {
      GET: {
        id: 'listTagsOverview',
        summary: 'Tags with digests, sizes, pushes and pulls',
        description: 'An extension of Berth. Rights as for `tags/list`.',
        parameters: [n('Rows in a page: 100 unless told, at most 1000'), last],
        answers: { 200: { description: 'A page, by name', content: json('TagsOverview'), some: ['Link'] } },
        errors: ['NAME_UNKNOWN', 'PAGINATION_NUMBER_INVALID'],
      },
    },
  },
  trash: {
    path: '/v2/{name}/_berth/trash/{digest}',
    parameters: [name, digest],
    methods: {
      DELETE: {
        id: 'purgeManifest',
        summary: 'Takes what a deletion left of a manifest for good, and gives its space back',
        description:
          'An extension of Berth. What the trash of the repository has under the digest, or a manifest that lost its last tag by a deletion; then the children and referrers that went with it, unless something else needs them; then the blobs that nobody uploaded, asked for or mounted since. 404 `MANIFEST_UNKNOWN`: no deletion left such a manifest.',
        answers: { 200: { description: 'What went, and what stays', content: json('Purged') } },
        errors: ['MANIFEST_UNKNOWN', 'DIGEST_INVALID'],
      },
    },
  },
} as const satisfies Partial<Record<Resource, Place>>
