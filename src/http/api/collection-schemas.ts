import { z } from '@hono/zod-openapi'
import { orNull } from './or-null.ts'

/** What the API says of garbage, the trash and the history of tags. Times are RFC 3339 in UTC, sizes bytes. */
const time = z.iso.datetime()
const digest = z.string().regex(/^(sha256:[a-f0-9]{64}|sha512:[a-f0-9]{128})$/, 'is no digest such as sha256:…')
const repository = z.string().min(1).max(255)
const tag = z.string().regex(/^\w[\w.-]{0,127}$/, 'is no tag')
const limit = z.coerce.number().int().min(1).max(1000).default(100)
const before = z.coerce.number().int().min(1).optional()
const milliseconds = z.number()

const tally = z.object({ count: z.number().int(), bytes: z.number().int() })

export const runSchema = z
  .object({
    id: z.string(),
    state: z.enum(['running', 'done', 'failed']),
    now: z.boolean(),
    dryRun: z.boolean(),
    untagged: z.boolean(),
    startedAt: time,
    endedAt: time.nullable(),
    manifests: tally.openapi({ description: 'Taken; of a dry run: that would be' }),
    blobs: tally,
    unlinked: tally.openapi({ description: 'Off the disk' }),
    failures: z.number().int().openapi({ description: 'Candidates that were put off' }),
    complete: z.boolean().openapi({ description: 'False: a dry run that ended before all candidates were tried' }),
    error: z.string().nullable(),
    listed: z
      .object({
        manifests: z.array(z.object({ repository: z.string(), digest: z.string(), size: z.number().int() })),
        blobs: z.array(z.object({ digest: z.string(), size: z.number().int() })),
      })
      .openapi({ description: 'The first 10,000 of each, once the run has ended; empty before, and in the status' }),
  })
  .openapi('CollectionRun')

export const newRunSchema = z
  .strictObject({
    now: z.boolean().optional().openapi({
      description:
        'Without the window and the delays for what a deletion freed. Never takes a blob that was uploaded, asked for or mounted since, nor one younger than an hour that nothing ever needed',
    }),
    dryRun: z.boolean().optional(),
    untagged: z.boolean().optional().openapi({ description: 'Untagged manifests too, whatever gc.untagged says' }),
  })
  .openapi('NewCollectionRun')

const complete = z
  .boolean()
  .openapi({ description: 'false: there is more than the 10,000 candidates that were looked at' })
const kinds = z.object({ blob: tally, copy: tally, manifest: tally, upload: tally })
export const statusSchema = z
  .object({
    settings: z.object({
      delayMs: milliseconds,
      untaggedMs: milliseconds.nullable().openapi({ description: 'null: untagged manifests are kept' }),
      windowMs: milliseconds,
      workers: z.number().int(),
    }),
    queue: z.object({ links: z.number().int(), manifests: z.number().int(), failing: z.number().int() }),
    garbage: tally
      .extend({ complete })
      .openapi({ description: 'Blobs that nothing needs, and that wait for their delay' }),
    discarded: tally.openapi({ description: 'Being unlinked' }),
    trash: tally.extend({ oldest: time.nullable(), complete }),
    uploads: tally.extend({ oldest: time.nullable() }),
    collected: kinds.openapi({ description: 'Since the database was made' }),
    latest: orNull(runSchema),
  })
  .openapi('CollectionStatus')

export const byDigest = z.object({ digest })
export const whySchema = z
  .object({
    digest: z.string(),
    blob: z
      .object({
        size: z.number().int(),
        state: z.enum(['live', 'deleting', 'damaged']),
        repositories: z.number().int(),
      })
      .nullable(),
    keepers: z.array(
      z.object({
        repository: z.string(),
        tag: z.string().nullable(),
        path: z.array(z.string()).openapi({ description: 'From the manifest of the tag down to the digest' }),
        waitsSince: time.nullable(),
      }),
    ),
    reviews: z.array(z.object({ repository: z.string(), since: time, cause: z.string() })),
    trash: z.array(z.object({ repository: z.string(), digest: z.string(), deletedAt: time })),
    discarded: z.array(z.object({ dueAt: time, attempts: z.number().int() })),
  })
  .openapi('Why')

export const trashQuery = z.strictObject({ repository: repository.optional(), limit, before })
export const trashSchema = z
  .object({
    manifests: z.array(
      z.object({
        id: z.number().int(),
        repository: z.string(),
        digest: z.string(),
        mediaType: z.string(),
        size: z.number().int(),
        tags: z.array(z.string()),
        reason: z.enum(['deleted', 'collected']),
        batch: z.string().nullable(),
        actor: z.string(),
        deletedAt: time,
        endsAt: time.openapi({ description: 'Until then it can be restored, unless space runs short' }),
      }),
    ),
  })
  .openapi('Trash')
export const restorationSchema = z
  .strictObject({
    repository,
    digest: digest.optional().openapi({ description: 'A manifest' }),
    batch: z.string().max(100).optional().openapi({ description: 'All that went with the deletion of a repository' }),
  })
  .openapi('Restoration')
export const restoredSchema = z
  .object({
    digests: z.array(z.string()),
    tags: z.array(z.string()),
    taken: z.array(z.string()).openapi({ description: 'Tags that another manifest has now' }),
  })
  .openapi('Restored')
export const byTrashId = z.object({ id: z.coerce.number().int().min(1) })

export const historyQuery = z.strictObject({ repository, tag: tag.optional(), limit, before })
export const historySchema = z
  .object({
    moves: z.array(
      z.object({
        id: z.number().int(),
        tag: z.string(),
        from: z.string().nullable(),
        to: z.string().nullable(),
        actor: z.string(),
        at: time,
      }),
    ),
  })
  .openapi('TagHistory')
export const tagRestorationSchema = z
  .strictObject({
    repository,
    tag,
    digest: digest.optional().openapi({ description: 'Absent: what it pointed to before its last move' }),
    force: z.boolean().optional().openapi({ description: 'Even where the tag is immutable' }),
  })
  .openapi('TagRestoration')
export const tagRestoredSchema = z.object({ digest: z.string(), from: z.string().nullable() }).openapi('TagRestored')

export type RunView = z.infer<typeof runSchema>
export type CollectionStatusView = z.infer<typeof statusSchema>
export type WhyView = z.infer<typeof whySchema>
export type TrashView = z.infer<typeof trashSchema>
export type RestoredView = z.infer<typeof restoredSchema>
export type TagHistoryView = z.infer<typeof historySchema>
export type TagRestoredView = z.infer<typeof tagRestoredSchema>
