import { z } from '@hono/zod-openapi'
import { orNull } from './or-null.ts'

/** What the API says of retention; the words of a rule are those of the configuration. Times are RFC 3339 in UTC, sizes bytes. */
const time = z.iso.datetime()
const repository = z.string().min(1).max(255)
const patterns = z.array(z.string()).optional()
const count = z.number().int().optional()

const words = {
  repositories: patterns.openapi({ description: 'Patterns; absent: every repository' }),
  tags: patterns.openapi({ description: 'Patterns; absent: every tag' }),
  state: z.enum(['tagged', 'untagged', 'any']).optional(),
  expired: z.boolean().optional(),
  on: z.enum(['pushed', 'pulled']).optional(),
  newest: count,
  oldest: count,
  beyondnewest: count,
  count: z.enum(['tags', 'images']).optional(),
  olderthan: z.string().optional().openapi({ description: 'An age such as 30d, 12h, 2w' }),
  newerthan: z.string().optional(),
  mayempty: z.boolean().optional(),
  action: z.enum(['delete', 'keep']),
}

export const retentionRuleSchema = z.strictObject({ name: z.string(), ...words }).openapi('RetentionRule')
export const namedRetentionRuleSchema = z
  .strictObject({ ...words, position: z.number().int().min(1).max(1000).optional() })
  .openapi('NewRetentionRule')
export const newRetentionRulesSchema = z
  .strictObject({ rules: z.array(retentionRuleSchema) })
  .openapi('NewRetentionRules')
export const byRetentionRule = z.object({ name: z.string().min(1).max(100) })

export const retentionRunSchema = z
  .object({
    id: z.number().int(),
    cause: z.enum(['schedule', 'asked', 'prune']),
    actor: z.string(),
    state: z.enum(['running', 'done', 'failed', 'stopped']),
    startedAt: time,
    endedAt: time.nullable(),
    repositories: z.number().int(),
    tags: z.number().int(),
    manifests: z.number().int(),
    bytes: z.number().int(),
    skipped: z
      .number()
      .int()
      .openapi({ description: 'Deletions that did not happen, for something changed meanwhile' }),
    error: z.string().nullable(),
  })
  .openapi('RetentionRun')
export const retentionRunsSchema = z.object({ runs: z.array(retentionRunSchema) }).openapi('RetentionRuns')
export const retentionRunsQuery = z.strictObject({
  limit: z.coerce.number().int().min(1).max(1000).default(20),
  before: z.coerce.number().int().min(1).optional(),
})
export const byRetentionRun = z.object({ id: z.coerce.number().int().min(1) })

export const retentionSchema = z
  .object({
    revision: z.number().int(),
    enabled: z.boolean(),
    intervalMs: z.number(),
    expiry: z.object({ enabled: z.boolean(), names: z.array(z.string()) }),
    rules: z.array(
      z.object({
        source: z.enum(['config', 'api']).openapi({ description: 'config: it is changed in the configuration alone' }),
        rule: retentionRuleSchema,
      }),
    ),
    last: orNull(retentionRunSchema).openapi({ description: 'The last scheduled run' }),
  })
  .openapi('Retention')
export const retentionChangedSchema = z.object({ revision: z.number().int() }).openapi('RetentionChanged')

export const retentionWishSchema = z
  .strictObject({
    repositories: z.array(repository).max(1000).optional().openapi({ description: 'Absent: every one' }),
    rule: z
      .strictObject(words)
      .optional()
      .openapi({ description: 'For once, in the place of the rules that delete; rules that keep come before it' }),
    all: z.boolean().optional().openapi({ description: 'A plan names also what no rule speaks of' }),
  })
  .openapi('RetentionWish')

/** A line of a plan: what is to become of one tag, or of a manifest without one. */
export const planItemSchema = z
  .object({
    kind: z.enum(['tag', 'manifest']),
    repository: z.string(),
    name: z.string(),
    digest: z.string(),
    pushedAt: time,
    usedAt: time.openapi({ description: 'Last pull or push, where a rule asks for it' }),
    action: z.enum(['delete', 'keep']),
    rule: z.string().nullable(),
    reason: z.string(),
    inspite: z.string().nullable().openapi({ description: 'The rule that would have deleted it' }),
  })
  .openapi('RetentionPlanItem')
/** The last line. */
export const planTotalSchema = z
  .object({
    kind: z.literal('total'),
    repositories: z.number().int(),
    tags: z.number().int(),
    kept: z.number().int(),
    manifests: z.number().int(),
    bytes: z.number().int(),
    exact: z.boolean().openapi({ description: 'False: bytes are at least so many' }),
  })
  .openapi('RetentionPlanTotal')

export type RetentionView = z.infer<typeof retentionSchema>
export type RetentionRuleView = z.infer<typeof retentionRuleSchema>
export type RetentionRunView = z.infer<typeof retentionRunSchema>
export type RetentionRunsView = z.infer<typeof retentionRunsSchema>
export type RetentionChangedView = z.infer<typeof retentionChangedSchema>
export type RetentionWishView = z.infer<typeof retentionWishSchema>
export type PlanItemView = z.infer<typeof planItemSchema>
export type PlanTotalView = z.infer<typeof planTotalSchema>
export type PlanLineView = PlanItemView | PlanTotalView | { kind: 'error'; error: string }
