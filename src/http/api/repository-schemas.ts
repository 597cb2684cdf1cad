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

export type RepositoryDeletedView = z.infer<typeof repositoryDeletedSchema>
