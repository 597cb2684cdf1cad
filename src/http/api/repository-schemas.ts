import { z } from '@hono/zod-openapi'
import { isRepositoryName } from '../../oci/name.ts'

/** What the API says of whole repositories. */
const name = z.string().max(256)
const newName = z.string().refine(isRepositoryName, {
  message:
    'is no repository name: lower-case letters and digits, joined by . _ __ or -, in parts separated by /, 255 at most',
})
const flag = z.enum(['true', 'false']).transform((text) => text === 'true')

export const byRepository = z.object({ name: name.openapi({ description: 'With its slashes as %2F' }) })

export const deletionQuery = z.strictObject({
  purge: flag.optional().openapi({ description: 'Out of the trash at once, with the space' }),
  force: flag.optional().openapi({ description: 'Even where tags are immutable' }),
})

export const repositoryDeletedSchema = z
  .object({
    batch: z.string().openapi({ description: 'Under which the trash restores all of it' }),
    manifests: z.number().int(),
    tags: z.number().int(),
    uploads: z.number().int().openapi({ description: 'Uploads under way that were ended' }),
    purged: z.number().int().openapi({ description: 'Manifests that are gone for good' }),
  })
  .openapi('RepositoryDeleted')

export const renamingSchema = z
  .strictObject({
    to: newName,
    force: z.boolean().optional().openapi({ description: 'Even where tags are immutable' }),
  })
  .openapi('Renaming')

const time = z.iso.datetime()
const limit = z.coerce.number().int().min(1).default(100)
const last = z.string().max(300).optional()
const pulls = {
  pulls: z.number().int().openapi({ description: 'Manifests that were sent' }),
  lastPullAt: time.nullable(),
}
export const repositoriesQuery = z.strictObject({ limit: limit.pipe(z.number().max(100)), last })
export const repositoriesSchema = z
  .object({
    repositories: z.array(
      z.object({
        name: z.string(),
        createdAt: time,
        updatedAt: time.nullable().openapi({ description: 'When a tag was last made, moved or deleted' }),
        tags: z.number().int(),
        blobs: z.number().int(),
        size: z
          .number()
          .int()
          .openapi({ description: 'Bytes of its blobs; those of several repositories count in each' }),
        complete: z.boolean().openapi({ description: 'False: it has more tags or blobs than are counted' }),
        ...pulls,
      }),
    ),
  })
  .openapi('Repositories')

export const repositoryTagsQuery = z.strictObject({ limit: limit.pipe(z.number().max(1000)), last })
export const repositoryTagsSchema = z
  .object({
    tags: z.array(
      z.object({
        name: z.string(),
        digest: z.string(),
        mediaType: z.string(),
        size: z
          .number()
          .int()
          .openapi({ description: 'Bytes of the manifest, its children and their blobs, each counted once' }),
        pushedAt: time,
        pushedBy: z.string().nullable().openapi({ description: 'null where nobody knows; empty: without credentials' }),
        ...pulls,
      }),
    ),
  })
  .openapi('RepositoryTags')

export type RepositoriesView = z.infer<typeof repositoriesSchema>
export type RepositoryTagsView = z.infer<typeof repositoryTagsSchema>
export type RepositoryDeletedView = z.infer<typeof repositoryDeletedSchema>
