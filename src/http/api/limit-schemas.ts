import { z } from '@hono/zod-openapi'
import { selectorProblem } from '../../oci/selector.ts'

/** What the API says of immutable tags and of quotas. Times are RFC 3339 in UTC, sizes bytes. */
const time = z.iso.datetime()
const source = z.enum(['config', 'api']).openapi({ description: 'config: it is changed in the configuration alone' })
const MAX_PATTERNS = 100

const pattern = z.string().superRefine((text, context) => {
  const problem = selectorProblem(text)
  if (problem !== undefined) context.addIssue({ code: 'custom', message: problem })
})
const patterns = (of: string) =>
  z
    .array(pattern)
    .max(MAX_PATTERNS)
    .openapi({ description: `Patterns of ${of}; a list without one is all of them. ! takes out what matches` })

export const immutableRuleSchema = z
  .object({
    name: z.string(),
    repositories: z.array(z.string()),
    tags: z.array(z.string()),
    comment: z.string(),
    source,
    createdAt: time.nullable(),
  })
  .openapi('ImmutableRule')
export const immutableRulesSchema = z.object({ rules: z.array(immutableRuleSchema) }).openapi('ImmutableRules')
export const newImmutableRuleSchema = z
  .strictObject({
    name: z.string().regex(/^[\w.-]{1,64}$/, 'a name has 1 to 64 letters, digits, _ . and -'),
    repositories: patterns('repositories').optional(),
    tags: patterns('tags').optional(),
    comment: z.string().max(500).optional(),
  })
  .refine(({ repositories = [], tags = [] }) => repositories.length + tags.length > 0, {
    message: 'name a repository or a tag; ** stands for all',
  })
  .openapi('NewImmutableRule')
export const byRuleName = z.object({ name: z.string() })
export const immutableTestSchema = z
  .strictObject({ repository: z.string().min(1).max(255), tag: z.string().regex(/^\w[\w.-]{0,127}$/, 'is no tag') })
  .openapi('ImmutableTest')
export const immutableAnswerSchema = z
  .object({ immutable: z.boolean(), rule: immutableRuleSchema.nullable() })
  .openapi('ImmutableAnswer')

export type ImmutableRuleView = z.infer<typeof immutableRuleSchema>
export type ImmutableRulesView = z.infer<typeof immutableRulesSchema>
export type ImmutableAnswerView = z.infer<typeof immutableAnswerSchema>
