import { z } from '@hono/zod-openapi'
import { quotaPrefix } from '../../oci/quota-prefix.ts'
import { selectorProblem } from '../../oci/selector.ts'
import { orNull } from './or-null.ts'

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
  .object({ immutable: z.boolean(), rule: orNull(immutableRuleSchema) })
  .openapi('ImmutableAnswer')

const prefix = z
  .string()
  .max(255)
  .transform((text, context) => {
    const known = quotaPrefix(text)
    if (known !== undefined) return known
    context.addIssue({ code: 'custom', message: "is no prefix of repositories such as team; '*' is all of them" })
    return z.NEVER
  })
  .openapi({ description: 'The repository of that name, and those below it; `*` for all', type: 'string' })
const most = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER)

const amounts = z.object({ bytes: z.number().int(), tags: z.number().int(), repositories: z.number().int() })
export const quotaSchema = z
  .object({
    prefix: z.string().openapi({ description: '`*`: all repositories' }),
    source,
    limits: z.object({ bytes: most.nullable(), tags: most.nullable(), repositories: most.nullable() }),
    used: amounts,
    waitingBytes: z.number().int().openapi({ description: 'Of blobs that were uploaded and wait for their manifests' }),
    state: z.enum(['counting', 'exact']).openapi({
      description: 'counting: what was there before is not wholly counted, and nothing is refused until it is',
    }),
    createdAt: time,
    updatedAt: time,
  })
  .openapi('Quota')
export const quotasSchema = z.object({ quotas: z.array(quotaSchema) }).openapi('Quotas')
export const newQuotaSchema = z
  .strictObject({ prefix, bytes: most.optional(), tags: most.optional(), repositories: most.optional() })
  .refine(({ bytes, tags, repositories }) => (bytes ?? tags ?? repositories) !== undefined, {
    message: 'name bytes, tags or repositories',
  })
  .openapi('NewQuota')
export const byPrefix = z.strictObject({ prefix })
export const quotaDetailSchema = z
  .object({
    quotas: z.array(quotaSchema),
    largest: z
      .array(z.object({ repository: z.string(), bytes: z.number().int(), tags: z.number().int() }))
      .openapi({ description: 'Repositories that hold most; a blob of several counts in each' }),
  })
  .openapi('QuotaDetail')
export const quotaCheckSchema = z.strictObject({ repair: z.boolean().optional() }).openapi('QuotaCheck')
export const quotaCheckedSchema = z
  .object({
    quotas: z.array(z.object({ prefix: z.string(), source, counted: amounts, found: amounts, right: z.boolean() })),
  })
  .openapi('QuotaChecked')

export type QuotaView = z.infer<typeof quotaSchema>
export type QuotasView = z.infer<typeof quotasSchema>
export type QuotaDetailView = z.infer<typeof quotaDetailSchema>
export type QuotaCheckedView = z.infer<typeof quotaCheckedSchema>
export type ImmutableRuleView = z.infer<typeof immutableRuleSchema>
export type ImmutableRulesView = z.infer<typeof immutableRulesSchema>
export type ImmutableAnswerView = z.infer<typeof immutableAnswerSchema>
