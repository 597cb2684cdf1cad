import { dockerAuthStatuses } from './docker-auth.ts'
import { isIdle, type Node, nodeAt, scalar } from './node.ts'
import { ignored, isOff, never, refused, type Statuses } from './status.ts'

const driver = refused('Only storage.filesystem is there; data of other drivers would not be found.', never)
const inMemory = refused(
  'Berth keeps data in files; for a registry that forgets, set storage.filesystem.rootdirectory to a folder of a tmpfs.',
  never,
)
const middleware = refused(
  'Middleware is compiled into the original, and Berth cannot load it; remove the entries, or disable them.',
  (node) => node.kind === 'list' && node.items.every((item) => isTrue(nodeAt(item, ['disabled']))),
)

function isTrue(node: Node | undefined): boolean {
  return node?.kind === 'scalar' && node.value === true
}

/** Keys of distribution's format that Berth knows and does not carry out yet. */
const distributionStatuses: Statuses = {
  'storage.inmemory': inMemory,
  'storage.s3': driver,
  'storage.s3aws': driver,
  'storage.azure': driver,
  'storage.gcs': driver,
  'storage.swift': driver,
  'storage.oss': driver,
  'storage.filesystem.maxthreads': ignored('Reads and writes need no limit on threads.'),
  'storage.tag': ignored('Looking up a tag is one query; no limit is needed.'),
  'auth.silly': refused(
    'It lets anyone in who sends any Authorization header; use auth.none, auth.htpasswd or auth.token.',
    never,
  ),
  'middleware.registry': middleware,
  'middleware.repository': middleware,
  'http.http2': ignored(
    'HTTP/1.1 is served, which every client speaks and which moves blobs faster here.',
    (node) => nodeAt(node, ['disabled']) === undefined || isTrue(nodeAt(node, ['disabled'])),
  ),
  'http.h2c': ignored(
    'HTTP/1.1 is served, which every client and proxy speaks; a proxy must not be told to speak HTTP/2 to Berth.',
    isOff,
  ),
  redis: ignored('No Redis is used.'),
  reporting: ignored('Nothing is reported to others.'),
  compatibility: ignored('Manifests of schema 1 are not made.', isOff),
  proxy: refused('Berth would serve only its own images; remove the section to serve these.', (node: Node) =>
    isIdle(nodeAt(node, ['remoteurl']) ?? scalar(null, node.at)),
  ),
}

/** Of every key of the merged tree, in which the token server stands under `tokenserver`. */
export const statuses: Statuses = {
  ...distributionStatuses,
  ...Object.fromEntries(Object.entries(dockerAuthStatuses).map(([key, status]) => [`tokenserver.${key}`, status])),
}
