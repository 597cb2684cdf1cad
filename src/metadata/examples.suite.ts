import type { Descriptor } from '../oci/descriptor.ts'
import { type Digest, digestOf } from '../oci/digest.ts'
import type { Metadata, NewEvent, Reference, TokenRow, UploadRow, UserRow } from './metadata.ts'

/** A database that is open for a test. */
export interface Opened {
  metadata: Metadata
  /** Runs a statement on a connection of its own, as another program would; it rejects when the database refuses. */
  execute(sql: string): Promise<void>
  /** As `execute`, past the foreign keys: what no program does. */
  damage(sql: string): Promise<void>
  /** Closes the metadata and opens it again. */
  reopen?(): Promise<Metadata>
  close(): Promise<void>
}

export type Open = () => Promise<Opened>

export const REPOSITORY = 'team/app'

export function digest(seed: string): Digest {
  return digestOf(new TextEncoder().encode(seed))
}

export function upload(row: Partial<UploadRow> = {}): UploadRow {
  return {
    id: 'upload-1',
    repository: REPOSITORY,
    size: 0,
    state: '{}',
    digest: undefined,
    bootId: 'boot-1',
    startedAt: 1000,
    updatedAt: 1000,
    ...row,
  }
}

export function user(name: string, row: Partial<UserRow> = {}): UserRow {
  return {
    name,
    kind: 'user',
    source: 'berth',
    passwordHash: '$2b$05$hash',
    admin: false,
    disabled: false,
    labels: {},
    grants: undefined,
    description: '',
    createdAt: 1000,
    updatedAt: 1000,
    ...row,
  }
}

/** A personal access token of ann, whose hash is `hash-of-<id>`. */
export function token(id: string, row: Partial<TokenRow> = {}): TokenRow {
  return {
    id,
    hash: `hash-of-${id}`,
    kind: 'personal',
    source: 'berth',
    account: 'ann',
    name: 'laptop',
    limits: undefined,
    stamp: undefined,
    createdAt: 1000,
    expiresAt: undefined,
    lastUsedAt: undefined,
    lastUsedFrom: undefined,
    ...row,
  }
}

/** Commits a blob of 10 bytes under the key `key-of-<seed>`, and resolves to its digest. */
export async function pushBlob(metadata: Metadata, seed: string, repository = REPOSITORY): Promise<Digest> {
  const key = `key-of-${seed}`
  await metadata.blobs.commit({ repository, digest: digest(seed), size: 10, key, upload: `upload-of-${seed}`, now: 1 })
  return digest(seed)
}

export interface Example {
  repository?: string
  tags?: readonly string[]
  references?: readonly Reference[]
  subject?: Digest
  artifactType?: string
  annotations?: Record<string, string>
  mediaType?: string
  now?: number
  events?: readonly NewEvent[]
  actor?: string
}

/** Puts a manifest whose bytes are the text. */
export function putManifest(metadata: Metadata, text: string, example: Example = {}) {
  return metadata.manifests.put({
    repository: example.repository ?? REPOSITORY,
    digest: digest(text),
    mediaType: example.mediaType ?? 'application/vnd.oci.image.manifest.v1+json',
    bytes: new TextEncoder().encode(text),
    tags: example.tags ?? [],
    references: example.references ?? [],
    subject: example.subject,
    artifactType: example.artifactType,
    annotations: example.annotations,
    now: example.now ?? 1,
    events: example.events ?? [],
    actor: example.actor ?? '',
  })
}

export function blobReference(of: Digest, required = true): Reference {
  return { digest: of, kind: 'blob', required }
}

export function manifestReference(of: Digest, required = true): Reference {
  return { digest: of, kind: 'manifest', required }
}

/**
 * What the promise rejects with. Bun's `expect(promise).rejects` waits in a loop of its own, in which the replies of
 * a worker do not arrive when it is entered from one.
 */
export function refusal(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    (value) => {
      throw new Error(`it was not refused: ${JSON.stringify(value)}`)
    },
    (error: unknown) => error,
  )
}

/** Deletes a repository to the end, in portions of `limit`; resolves to what each one took. */
export async function deleteRepository(
  metadata: Metadata,
  { batch = 'batch-1', limit = 10, events = [] }: { batch?: string; limit?: number; events?: readonly NewEvent[] } = {},
): Promise<Digest[][]> {
  const begun = await metadata.deletions.begin(REPOSITORY, { batch, now: 50, actor: 'ann', events })
  if (begun === undefined) throw new Error('there is no repository')
  return await endDeletion(metadata, begun.batch, { limit })
}

/** `between` runs after each portion but the last. */
export async function endDeletion(
  metadata: Metadata,
  batch: string,
  { limit = 10, between = async () => {} }: { limit?: number; between?: () => Promise<unknown> } = {},
): Promise<Digest[][]> {
  const portions: Digest[][] = []
  for (;;) {
    const portion = await metadata.deletions.advance(batch, { limit, now: 50 })
    if (portion === undefined) throw new Error('there is no such deletion')
    portions.push(portion.digests)
    if (portion.state !== 'running') return portions
    await between()
  }
}

/** The descriptors of a page of referrers. */
export async function referrersOf(
  metadata: Metadata,
  ...query: Parameters<Metadata['referrers']['list']>
): Promise<Descriptor[]> {
  return (await metadata.referrers.list(...query)).descriptors
}
