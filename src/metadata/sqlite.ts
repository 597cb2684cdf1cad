import { resolve } from 'node:path'
import type { Audit, Metadata, Page } from './metadata.ts'
import { nouns } from './nouns.ts'
import { type ClientOptions, startClient } from './sqlite-client.ts'
import { createLooks } from './sqlite-looks.ts'
import { openReader } from './sqlite-reader.ts'

/** Rows that a list may have on the thread that answers requests; a longer one is read by the worker. */
const SHORT_PAGE = 1000

/**
 * Metadata in one SQLite file, made when there is none. The caller owns the file: nobody else may write to it (see
 * `owner-lock.ts`). Short reads run here, on a connection that only reads; all else runs in one worker, but for looks at all that
 * there is, which have a thread to themselves (`sqlite-looks.ts`).
 * `now` is milliseconds since the epoch.
 * @throws MetadataError when the file cannot be opened, or was made by a newer program.
 */
export async function openSqlite({
  path,
  now = Date.now,
  ...options
}: ClientOptions & { path: string; now?: () => number }): Promise<Metadata> {
  const file = resolve(path)
  const client = await startClient(file, now(), options)
  const { method } = client
  const reader = await openReaderOrClose()
  const { hot } = reader
  const looks = createLooks(file, options.damage?.report)
  const here = nouns(reader.database)

  async function openReaderOrClose() {
    try {
      return openReader(file, options.damage?.report)
    } catch (error) {
      await client.close()
      throw error
    }
  }

  const long = {
    repositories: method('read', 'repositories', 'list'),
    tags: method('read', 'tags', 'list'),
    referrers: method('read', 'referrers', 'list'),
    users: method('read', 'users', 'list'),
    groups: method('read', 'groups', 'list'),
    members: method('read', 'groups', 'members'),
    tokens: method('read', 'tokens', 'list'),
    audit: method('read', 'audit', 'list'),
    uploads: method('read', 'uploads', 'stale'),
    events: method('read', 'events', 'list'),
    trash: method('read', 'trash', 'list'),
    manifests: method('read', 'manifests', 'list'),
    history: method('read', 'tags', 'history'),
    pullsOfTags: method('read', 'pulls', 'ofTags'),
    pullsOfManifests: method('read', 'pulls', 'ofManifests'),
  }
  const isShort = ({ limit }: Pick<Page, 'limit'>) => limit <= SHORT_PAGE
  /** Other conditions beside an account have no index of both: a page may walk past all rows of the account. */
  const hasIndex = ({ account, kind, outcome }: Parameters<Audit['list']>[0]) =>
    account === undefined || (kind === undefined && outcome === undefined)

  return {
    repositories: {
      list: (page) => (isShort(page) ? here.repositories.list : long.repositories)(page),
      isListed: here.repositories.isListed,
      exists: here.repositories.exists,
      rename: method('durable', 'repositories', 'rename'),
    },
    deletions: {
      begin: method('durable', 'deletions', 'begin'),
      advance: method('durable', 'deletions', 'advance'),
      callOff: method('durable', 'deletions', 'callOff'),
      unfinished: here.deletions.unfinished,
    },
    blobs: {
      find: hot.blobs.find,
      locate: hot.blobs.locate,
      commit: method('durable', 'blobs', 'commit'),
      discarded: here.blobs.discarded,
      review: hot.blobs.review,
      touch: method('durable', 'blobs', 'touch'),
      mount: method('durable', 'blobs', 'mount'),
      unlink: method('durable', 'blobs', 'unlink'),
    },
    uploads: {
      start: method('relaxed', 'uploads', 'start'),
      find: hot.uploads.find,
      advance: method('relaxed', 'uploads', 'advance'),
      exists: here.uploads.exists,
      remove: method('durable', 'uploads', 'remove'),
      of: method('read', 'uploads', 'of'),
      underWay: method('read', 'uploads', 'underWay'),
      count: method('read', 'uploads', 'count'),
      stale: long.uploads,
    },
    manifests: {
      find: hot.manifests.find,
      resolve: hot.manifests.resolve,
      put: method('durable', 'manifests', 'put'),
      delete: method('durable', 'manifests', 'delete'),
      list: (repository, page) => (isShort(page) ? here.manifests.list : long.manifests)(repository, page),
    },
    tags: {
      list: (repository, page) => (isShort(page) ? here.tags.list : long.tags)(repository, page),
      delete: method('durable', 'tags', 'delete'),
      history: (repository, tag, page) => (isShort(page) ? here.tags.history : long.history)(repository, tag, page),
      restore: method('durable', 'tags', 'restore'),
    },
    referrers: {
      list: (repository, subject, artifactType, page) =>
        (isShort(page) ? here.referrers.list : long.referrers)(repository, subject, artifactType, page),
    },
    // Whoever walks all of it must not hold up requests.
    contents: {
      repositories: method('read', 'contents', 'repositories'),
      manifests: method('read', 'contents', 'manifests'),
      tags: method('read', 'contents', 'tags'),
      moves: method('read', 'contents', 'moves'),
      blobs: method('read', 'contents', 'blobs'),
    },
    collection: {
      links: method('read', 'collection', 'links'),
      manifests: method('read', 'collection', 'manifests'),
      trash: method('read', 'collection', 'trash'),
      objects: method('read', 'collection', 'objects'),
      buried: method('read', 'collection', 'buried'),
      remains: method('read', 'collection', 'remains'),
      takeLink: method('relaxed', 'collection', 'takeLink'),
      takeManifest: method('relaxed', 'collection', 'takeManifest'),
      purge: method('relaxed', 'collection', 'purge'),
      sync: method('durable', 'collection', 'sync'),
      forget: method('relaxed', 'collection', 'forget'),
      postpone: method('relaxed', 'collection', 'postpone'),
      strays: method('read', 'collection', 'strays'),
      claim: method('durable', 'collection', 'claim'),
      count: method('relaxed', 'collection', 'count'),
      status: method('read', 'collection', 'status'),
      garbage: method('read', 'collection', 'garbage'),
      heldByTrash: method('read', 'collection', 'heldByTrash'),
      why: method('read', 'collection', 'why'),
      rehearse: method('read', 'collection', 'rehearse'),
    },
    trash: {
      // A page of one repository may walk past all that others have in the trash.
      list: long.trash,
      find: here.trash.find,
      restore: method('durable', 'trash', 'restore'),
      restoreBatch: method('durable', 'trash', 'restoreBatch'),
    },
    pulls: {
      add: method('relaxed', 'pulls', 'add'),
      ofTags: (repository, names) =>
        (names.length <= SHORT_PAGE ? here.pulls.ofTags : long.pullsOfTags)(repository, names),
      ofManifests: (repository, digests) =>
        (digests.length <= SHORT_PAGE ? here.pulls.ofManifests : long.pullsOfManifests)(repository, digests),
      since: here.pulls.since,
    },
    immutable: {
      list: here.immutable.list,
      add: method('durable', 'immutable', 'add'),
      remove: method('durable', 'immutable', 'remove'),
    },
    // Whoever looks at all tags must not hold up requests.
    retention: {
      tags: method('read', 'retention', 'tags'),
      untagged: method('read', 'retention', 'untagged'),
      examined: method('relaxed', 'retention', 'examined'),
      places: method('read', 'retention', 'places'),
      needed: method('read', 'retention', 'needed'),
      holders: method('read', 'retention', 'holders'),
      take: method('durable', 'retention', 'take'),
      rules: here.retention.rules,
      replaceRules: method('durable', 'retention', 'replaceRules'),
      begin: method('durable', 'retention', 'begin'),
      progress: method('relaxed', 'retention', 'progress'),
      end: method('durable', 'retention', 'end'),
      runs: method('read', 'retention', 'runs'),
      lastScheduled: here.retention.lastScheduled,
    },
    // They count as they go.
    overview: {
      repositories: method('read', 'overview', 'repositories'),
      tags: method('read', 'overview', 'tags'),
    },
    quotas: {
      list: here.quotas.list,
      set: method('durable', 'quotas', 'set'),
      remove: method('durable', 'quotas', 'remove'),
      configure: method('durable', 'quotas', 'configure'),
      count: method('relaxed', 'quotas', 'count'),
      isBehind: here.quotas.isBehind,
      giveUpRenames: method('relaxed', 'quotas', 'giveUpRenames'),
      over: here.quotas.over,
      recount: looks.method('quotas', 'recount'),
      restart: method('durable', 'quotas', 'restart'),
    },
    users: {
      find: hot.users.find,
      list: (page, kind) => (isShort(page) ? here.users.list : long.users)(page, kind),
      put: method('durable', 'users', 'put'),
      remove: method('durable', 'users', 'remove'),
    },
    groups: {
      find: here.groups.find,
      list: (page) => (isShort(page) ? here.groups.list : long.groups)(page),
      put: method('durable', 'groups', 'put'),
      remove: method('durable', 'groups', 'remove'),
      members: (group, page) => (isShort(page) ? here.groups.members : long.members)(group, page),
      of: hot.groups.of,
      join: method('durable', 'groups', 'join'),
      leave: method('durable', 'groups', 'leave'),
    },
    tokens: {
      findByHash: hot.tokens.findByHash,
      find: here.tokens.find,
      list: (filter, page) => (isShort(page) ? here.tokens.list : long.tokens)(filter, page),
      add: method('durable', 'tokens', 'add'),
      touch: method('relaxed', 'tokens', 'touch'),
      remove: method('durable', 'tokens', 'remove'),
      removeAll: method('durable', 'tokens', 'removeAll'),
      expire: method('durable', 'tokens', 'expire'),
    },
    rules: {
      list: here.rules.list,
      replace: method('durable', 'rules', 'replace'),
    },
    audit: {
      append: method('relaxed', 'audit', 'append'),
      list: (filter, page) => (isShort(page) && hasIndex(filter) ? here.audit.list : long.audit)(filter, page),
      prune: method('durable', 'audit', 'prune'),
    },
    events: {
      append: method('relaxed', 'events', 'append'),
      waiting: here.events.waiting,
      find: here.events.find,
      list: (filter, page) => (isShort(page) ? here.events.list : long.events)(filter, page),
      settle: method('relaxed', 'events', 'settle'),
      bury: method('relaxed', 'events', 'bury'),
      requeue: method('durable', 'events', 'requeue'),
      counts: method('read', 'events', 'counts'),
      drop: method('relaxed', 'events', 'drop'),
      prune: method('relaxed', 'events', 'prune'),
    },
    adoption: {
      blobs: method('relaxed', 'adoption', 'blobs'),
      links: method('relaxed', 'adoption', 'links'),
      manifests: method('relaxed', 'adoption', 'manifests'),
      tags: method('relaxed', 'adoption', 'tags'),
      distrust: method('relaxed', 'adoption', 'distrust'),
      review: method('relaxed', 'adoption', 'review'),
      unreferenced: method('read', 'adoption', 'unreferenced'),
      finish: method('durable', 'adoption', 'finish'),
    },
    status: {
      totals: looks.unless(method('read', 'status', 'totals'), looks.method('status', 'totals')),
      write: method('relaxed', 'status', 'write'),
    },
    verification: {
      blobs: method('read', 'verification', 'blobs'),
      uploads: method('read', 'verification', 'uploads'),
      rows: method('read', 'verification', 'rows'),
      manifests: method('read', 'verification', 'manifests'),
      mend: method('durable', 'verification', 'mend'),
      rederive: method('durable', 'verification', 'rederive'),
      mendManifest: method('durable', 'verification', 'mendManifest'),
      damage: method('durable', 'verification', 'damage'),
      revive: method('durable', 'verification', 'revive'),
      damaged: method('read', 'verification', 'damaged'),
      affected: method('read', 'verification', 'affected'),
      countDamaged: method('read', 'verification', 'countDamaged'),
      scrub: method('read', 'verification', 'scrub'),
      setScrub: method('relaxed', 'verification', 'setScrub'),
    },
    async close() {
      // The connection that writes is the last to go: it empties and removes the write-ahead log.
      reader.close()
      await looks.close()
      await client.close()
    },
  }
}
