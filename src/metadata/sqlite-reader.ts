import type { SQLQueryBindings } from 'bun:sqlite'
import type { CompiledQuery } from 'kysely'
import type { Digest } from '../oci/digest.ts'
import { type BlobRecord, blobByDigest, linkedBlob, linkReview, reviewOf, storedBlob } from './blobs.ts'
import type { Database } from './database.ts'
import { groupsOfUser } from './groups.ts'
import { type ManifestRecord, manifestByDigest, manifestByTag, storedManifest } from './manifests.ts'
import {
  type Blobs,
  type Groups,
  type Manifests,
  MetadataError,
  type Tokens,
  type Uploads,
  type Users,
} from './metadata.ts'
import { connect, type OnError, type SqliteConnection, translated } from './sqlite-connection.ts'
import { type TokenRecord, tokenByHash, tokenRow } from './tokens.ts'
import { type UploadRecord, uploadById, uploadRow } from './uploads.ts'
import { type UserRecord, userByName, userRow } from './users.ts'

/** A connection that only reads. Every query sees all that was committed before it began. */
export interface Reader {
  readonly database: Database
  readonly hot: HotReads
  close(): void
}

interface Source {
  connection: SqliteConnection
  onError: OnError | undefined
}

/** The reads that every pull, push and login makes. */
export interface HotReads {
  manifests: Pick<Manifests, 'find' | 'resolve'>
  blobs: Pick<Blobs, 'find' | 'locate' | 'review'>
  uploads: Pick<Uploads, 'find'>
  users: Pick<Users, 'find'>
  groups: Pick<Groups, 'of'>
  tokens: Pick<Tokens, 'findByHash'>
}

/** The database must be open for writing already. `onError` hears of what queries meet. @throws MetadataError */
export function openReader(path: string, onError?: OnError, cacheKib?: number): Reader {
  const connection = connect(path, 'read', onError, cacheKib)
  const read = connection.query(() => {})
  const database: Database = {
    read,
    async transaction() {
      throw new MetadataError('failed', 'this connection only reads')
    },
  }
  return { database, hot: hotReads({ connection, onError }, database), close: () => connection.close() }
}

/**
 * The nouns' own queries, compiled once: building and compiling one costs several times what SQLite needs to answer
 * it from its cache. Each is built with the names of its arguments in the place of their values.
 */
function hotReads(source: Source, { read }: Database): HotReads {
  const digest = 'digest' as Digest
  const manifest = once<ManifestRecord>(source, manifestByDigest(read, 'repository', digest).compile(), [
    'repository',
    'digest',
  ])
  const tagged = once<ManifestRecord>(source, manifestByTag(read, 'repository', 'tag').compile(), ['repository', 'tag'])
  const linked = once<BlobRecord>(source, linkedBlob(read, 'repository', digest).compile(), ['repository', 'digest'])
  const blob = once<BlobRecord>(source, blobByDigest(read, digest).compile(), ['digest'])
  const review = once<{ since: number | null; freed: number | null }>(
    source,
    linkReview(read, 'repository', digest).compile(),
    ['repository', 'digest'],
  )
  const upload = once<UploadRecord>(source, uploadById(read, 'repository', 'id').compile(), ['repository', 'id'])
  const user = once<UserRecord>(source, userByName(read, 'name').compile(), ['name'])
  const memberships = pinned<{ group_name: string }>(source, groupsOfUser(read, 'user').compile(), ['user'])
  const token = once<TokenRecord>(source, tokenByHash(read, 'hash').compile(), ['hash'])
  return {
    manifests: {
      async find(repository, digest) {
        const row = manifest(repository, digest)
        return row && storedManifest(row)
      },
      async resolve(repository, tag) {
        const row = tagged(repository, tag)
        return row && storedManifest(row)
      },
    },
    blobs: {
      async find(repository, digest) {
        const row = linked(repository, digest)
        return row && storedBlob(row)
      },
      async locate(digest) {
        const row = blob(digest)
        return row && storedBlob(row)
      },
      async review(repository, digest) {
        const row = review(repository, digest)
        return row && reviewOf(row)
      },
    },
    uploads: {
      async find(repository, id) {
        const row = upload(repository, id)
        return row && uploadRow(row)
      },
    },
    users: {
      async find(name) {
        const row = user(name)
        return row && userRow(row)
      },
    },
    groups: {
      async of(user) {
        return memberships.all(user).map((row) => row.group_name)
      },
    },
    tokens: {
      async findByHash(hash) {
        const row = token(hash)
        return row && tokenRow(row)
      },
    },
  }
}

function once<Row>(source: Source, query: CompiledQuery, names: readonly string[]) {
  return pinned<Row>(source, query, names).first
}

function pinned<Row>({ connection, onError }: Source, { sql, parameters }: CompiledQuery, names: readonly string[]) {
  const statement = connection.pin<Row>(sql)
  const places = parameters.map((parameter) => names.indexOf(String(parameter)))
  const bind = (values: readonly string[]) =>
    places.map((place, index) => (place === -1 ? parameters[index] : values[place])) as SQLQueryBindings[]
  const doing = 'the database refused a query'
  return {
    first: (...values: string[]): Row | undefined =>
      translated(doing, () => statement.get(...bind(values)), onError) ?? undefined,
    all: (...values: string[]): Row[] => translated(doing, () => statement.all(...bind(values)), onError),
  }
}
