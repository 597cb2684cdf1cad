import { z } from '@hono/zod-openapi'
import { orNull } from './or-null.ts'

/** What the API says of verifications. Times are RFC 3339 in UTC, sizes bytes. */
const time = z.iso.datetime()
const count = z.number().int()

export const affectedSchema = z.object({
  repository: z.string(),
  tag: z.string().nullable().openapi({ description: 'null: the manifest has no tag' }),
  manifest: z.string(),
})

export const findingSchema = z
  .object({
    kind: z.string(),
    severity: z.enum(['fault', 'note']).openapi({
      description: 'A fault: something cannot be pulled, or is in danger. A note: nothing is lost by it',
    }),
    what: z.string(),
    detail: z.string(),
    affected: z.array(affectedSchema).openapi({ description: 'What cannot be pulled whole: the first 100' }),
    outcome: z.enum(['found', 'healing', 'mended']).openapi({
      description: 'healing: the next push mends it; mended: nothing is wrong with it any more',
    }),
    done: z.string().nullable(),
    advice: z.string().nullable(),
  })
  .openapi('Finding')

export const newVerifyRunSchema = z
  .strictObject({
    deep: z.boolean().optional().openapi({ description: 'Hash every blob' }),
    repair: z.boolean().optional().openapi({ description: 'Set right what can be' }),
    rate: count.min(0).optional().openapi({
      description: 'Bytes a second that are read; 0: as many as it can; absent: verify.rate of the configuration',
    }),
  })
  .openapi('NewVerification')

export const verifyRunSchema = z
  .object({
    id: z.string(),
    deep: z.boolean(),
    repair: z.boolean(),
    state: z.enum(['running', 'done', 'stopped', 'failed']),
    startedAt: time,
    endedAt: time.nullable(),
    progress: z.object({
      step: z.string(),
      done: count,
      total: count.nullable(),
      bytes: count,
      totalBytes: count.nullable(),
    }),
    faults: count,
    left: count.openapi({ description: 'Faults that are still there' }),
    notes: count,
    error: z.string().nullable(),
  })
  .openapi('Verification')

export const findingsQuery = z.strictObject({
  from: z.coerce
    .number()
    .int()
    .min(0)
    .default(0)
    .openapi({ description: 'Number of the first; 0 is the first of all' }),
  limit: z.coerce.number().int().min(1).max(1000).default(100),
})
export const verifyReportSchema = z
  .object({ run: verifyRunSchema, findings: z.array(findingSchema) })
  .openapi('VerificationReport')

export const damagedQuery = z.strictObject({
  limit: z.coerce.number().int().min(1).max(1000).default(100),
  last: z
    .string()
    .regex(/^(sha256:[a-f0-9]{64}|sha512:[a-f0-9]{128})$/, 'is no digest such as sha256:…')
    .optional(),
})
export const verifyStatusSchema = z
  .object({
    scrub: z
      .object({
        startedAt: time,
        endedAt: time.nullable().openapi({ description: 'null: it is under way' }),
        blobs: count,
        bytes: count,
        damaged: count,
      })
      .nullable(),
    damaged: z.array(
      z.object({
        digest: z.string(),
        size: count,
        reason: z.string(),
        foundAt: time,
        affected: z.array(affectedSchema),
      }),
    ),
    latest: orNull(verifyRunSchema),
  })
  .openapi('VerificationStatus')

export type FindingView = z.infer<typeof findingSchema>
export type VerifyRunView = z.infer<typeof verifyRunSchema>
export type VerifyReportView = z.infer<typeof verifyReportSchema>
export type VerifyStatusView = z.infer<typeof verifyStatusSchema>
