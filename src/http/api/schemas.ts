import { z } from '@hono/zod-openapi'
import { isDigest } from '../../oci/digest.ts'

/**
 * What the API takes and gives, once for types, checks and the OpenAPI document. Times are RFC 3339 in UTC. Bodies are
 * strict: a key that nobody reads is a mistake.
 */
const name = z.string().max(256)
const description = z.string().max(500).optional()
const labels = z.record(z.string(), z.array(z.string()))
const time = z.iso.datetime()
const grants = z.array(z.string()).openapi({ example: ['repository:team/**:pull,push'] })
const expiresAt = z.iso
  .datetime({ offset: true })
  .nullable()
  .optional()
  .openapi({ description: 'Absent or null: never', example: '2027-01-31T00:00:00Z' })

export const problemSchema = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.number().int(),
    detail: z.string(),
    errors: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
    immutable: z.string().optional().openapi({ description: 'The rule of immutable tags that forbids it' }),
  })
  .openapi('Problem')

const user = z.object({
  name: z.string(),
  source: z.string().openapi({ description: '`berth`, or the web sign-in that made the account' }),
  admin: z.boolean(),
  disabled: z.boolean(),
  hasPassword: z.boolean(),
  labels,
  description: z.string(),
  createdAt: time,
  updatedAt: time,
})
export const userSchema = user.openapi('User')
export const userDetailSchema = user.extend({ groups: z.array(z.string()) }).openapi('UserDetail')
export const usersSchema = z.object({ users: z.array(userSchema) }).openapi('Users')
export const newUserSchema = z
  .strictObject({
    name,
    password: z.string().optional().openapi({ description: 'Absent: it logs in with personal access tokens alone' }),
    admin: z.boolean().optional(),
    labels: labels.optional(),
    description,
    groups: z.array(name).max(100).optional(),
  })
  .openapi('NewUser')
export const userChangeSchema = z
  .strictObject({
    password: z.string().optional(),
    admin: z.boolean().optional(),
    disabled: z.boolean().optional(),
    labels: labels.optional().openapi({ description: 'All of them: what is not named goes' }),
    description,
  })
  .openapi('UserChange')
export const passwordSchema = z.strictObject({ password: z.string() }).openapi('Password')
export const ownPasswordSchema = z
  .strictObject({ oldPassword: z.string(), newPassword: z.string() })
  .openapi('OwnPassword')

export const groupSchema = z.object({ name: z.string(), description: z.string(), createdAt: time }).openapi('Group')
export const groupsSchema = z.object({ groups: z.array(groupSchema) }).openapi('Groups')
export const newGroupSchema = z.strictObject({ name, description }).openapi('NewGroup')
export const groupChangeSchema = z.strictObject({ description: z.string().max(500) }).openapi('GroupChange')
export const membersSchema = z.object({ members: z.array(z.string()) }).openapi('Members')

export const tokenSchema = z
  .object({
    id: z.string(),
    kind: z.enum(['personal', 'refresh']),
    account: z.string(),
    source: z.string(),
    name: z.string(),
    limits: grants.nullable(),
    createdAt: time,
    expiresAt: time.nullable(),
    ended: z.boolean(),
    lastUsedAt: time.nullable(),
    lastUsedFrom: z.string().nullable(),
  })
  .openapi('Token')
export const tokensSchema = z.object({ tokens: z.array(tokenSchema) }).openapi('Tokens')
const secret = z.string().openapi({ description: 'Stands for the password; shown this once', example: 'berth_p…' })
export const tokenMadeSchema = z.object({ secret, token: tokenSchema }).openapi('TokenMade')
export const ownTokenSchema = z.strictObject({ name, limits: grants.optional(), expiresAt }).openapi('NewOwnToken')
export const newTokenSchema = z
  .strictObject({
    account: name,
    source: name.optional().openapi({ description: 'Absent: the first source of users that knows the account' }),
    name,
    limits: grants.optional(),
    expiresAt,
  })
  .openapi('NewToken')
export const robotTokenSchema = z.strictObject({ name, expiresAt }).openapi('NewRobotToken')
export const revokedSchema = z.object({ revoked: z.number().int() }).openapi('Revoked')

export const robotSchema = z
  .object({
    name: z.string(),
    grants,
    disabled: z.boolean(),
    description: z.string(),
    createdAt: time,
    updatedAt: time,
    lastUsedAt: time.nullable().openapi({ description: 'When one of its tokens was used last; null: never' }),
    tokens: z.number().int().openapi({ description: 'How many of its tokens count now, refresh tokens aside' }),
    tokensEndAt: time
      .nullable()
      .openapi({ description: 'When the last of these ends; null: one never does, or there is none' }),
  })
  .openapi('Robot')
export const robotsSchema = z.object({ robots: z.array(robotSchema) }).openapi('Robots')
export const newRobotSchema = z.strictObject({ name, grants, description, expiresAt }).openapi('NewRobot')
export const robotMadeSchema = z.object({ secret, token: tokenSchema, robot: robotSchema }).openapi('RobotMade')
export const robotChangeSchema = z
  .strictObject({ grants: grants.optional(), disabled: z.boolean().optional(), description })
  .openapi('RobotChange')

const text = z.string().optional()
const match = z
  .strictObject({
    account: text,
    type: text,
    name: text,
    service: text,
    ip: text,
    labels: z.record(z.string(), z.string()).optional(),
  })
  .openapi({ description: 'Conditions that are absent match everything' })
const actions = z.array(z.string())
export const ruleSchema = z.object({ id: z.string(), match, actions, comment: z.string() }).openapi('Rule')
const revision = z.number().int()
export const rulesSchema = z.object({ revision, rules: z.array(ruleSchema) }).openapi('Rules')
export const ruleChangedSchema = z.object({ revision, rule: ruleSchema }).openapi('RuleChanged')
const position = z.int().min(1).max(100_000).optional().openapi({ description: '1 is the first; absent: the last' })
export const newRuleSchema = z.strictObject({ match, actions, comment: text, position }).openapi('NewRule')
export const ruleChangeSchema = z
  .strictObject({ match: match.optional(), actions: actions.optional(), comment: text, position })
  .openapi('RuleChange')
export const newRulesSchema = z
  .strictObject({ rules: z.array(z.strictObject({ id: text, match, actions, comment: text })) })
  .openapi('NewRules')

export const aclTestSchema = z
  .strictObject({
    account: name.openapi({ description: 'Empty: a client without credentials' }),
    scope: z.string().max(2000).openapi({ example: 'repository:team/app:pull,push' }),
    service: z.string().max(256).optional(),
    ip: z.string().max(100).optional(),
    labels: labels.optional().openapi({ description: 'Absent: those that the account has now' }),
  })
  .openapi('AclTest')
const lack = z.object({ condition: z.string(), wanted: z.string(), had: z.string() })
export const aclAnswerSchema = z
  .object({
    account: z.string(),
    source: z.string().nullable().openapi({ description: 'Who knows the account; null when nobody can tell' }),
    scope: z.string(),
    asked: actions,
    granted: actions,
    missing: actions,
    rule: z.string().nullable().openapi({ description: 'What decided; null when no rule speaks of it' }),
    trace: z.array(z.object({ rule: z.string(), comment: z.string(), lacks: z.array(lack), actions })),
  })
  .openapi('AclAnswer')

const auditKind = z.enum(['token', 'sign-in', 'change'])
const outcome = z.enum(['granted', 'partial', 'denied', 'refused', 'done', 'failed'])
export const auditSchema = z
  .object({
    entries: z.array(
      z.object({
        id: z.number().int(),
        at: time,
        kind: auditKind,
        account: z.string(),
        source: z.string(),
        address: z.string(),
        service: z.string(),
        asked: z.string(),
        granted: z.string(),
        rules: z.string(),
        outcome,
        detail: z.string(),
      }),
    ),
  })
  .openapi('Audit')

export const keySchema = z
  .object({
    id: z.string(),
    algorithm: z.string(),
    state: z.enum(['next', 'signing', 'previous']),
    signsFrom: time.nullable(),
    endsAt: time.nullable(),
  })
  .openapi('Key')
export const keysSchema = z.object({ keys: z.array(keySchema) }).openapi('Keys')

export const rotationSchema = z
  .strictObject({
    algorithm: z.enum(['RS256', 'ES256', 'ES384', 'ES512', 'EdDSA']).optional(),
    immediately: z
      .boolean()
      .optional()
      .openapi({ description: 'For a key that somebody stole: tokens may be refused until others have the new one' }),
  })
  .openapi('Rotation')

export const meSchema = z
  .object({
    account: z.string(),
    source: z.string(),
    admin: z.boolean(),
    credential: z.enum(['password', 'token', 'limited-token']),
  })
  .openapi('Me')

const limit = z.coerce.number().int().min(1).max(1000).default(100)
export const pageQuery = z.strictObject({ limit, last: z.string().max(300).optional() })
export const tokensQuery = pageQuery.extend({ account: name.optional(), kind: tokenSchema.shape.kind.optional() })
export const revokeQuery = z.strictObject({
  account: name,
  source: name.optional(),
  kind: tokenSchema.shape.kind.optional(),
})
export const auditQuery = z.strictObject({
  limit,
  before: z.coerce.number().int().min(1).optional(),
  account: name.optional(),
  kind: auditKind.optional(),
  outcome: outcome.optional(),
})
const digest = z.string().refine(isDigest, 'not a sha256 or sha512 digest')
const repositoryName = z.string().max(256)
export const contentsQuery = z.strictObject({ limit, last: z.string().max(300).optional() })
export const contentsOfQuery = contentsQuery.extend({ repository: repositoryName })
export const contentMovesQuery = contentsOfQuery.extend({ last: z.coerce.number().int().optional() })
export const contentBlobsQuery = contentsOfQuery.extend({ digest: digest.optional() })
export const contentManifestsQuery = contentBlobsQuery.extend({ tag: name.optional(), subject: digest.optional() })
const count = z.number().int()
export const contentRepositoriesSchema = z
  .object({
    repositories: z.array(
      z.object({ name: repositoryName, manifests: count, tags: count, blobs: count, bytes: count }),
    ),
  })
  .openapi('ContentRepositories')
export const contentManifestsSchema = z
  .object({
    manifests: z.array(
      z.object({
        digest,
        mediaType: z.string(),
        bytes: z.base64(),
        subject: digest.optional(),
        artifactType: z.string().optional(),
        annotations: z.record(z.string(), z.string()).optional(),
        pushedAt: count,
        isTagged: z.boolean(),
        isChild: z.boolean(),
      }),
    ),
    more: z.boolean(),
  })
  .openapi('ContentManifests')
export const contentTagsSchema = z
  .object({ tags: z.array(z.object({ name, digest, updatedAt: count })) })
  .openapi('ContentTags')
export const contentMovesSchema = z
  .object({ moves: z.array(z.object({ id: count, tag: name, digest, at: count })) })
  .openapi('ContentMoves')
export const contentBlobsSchema = z
  .object({
    blobs: z.array(z.object({ digest, size: count, key: z.string(), state: z.enum(['live', 'deleting', 'damaged']) })),
  })
  .openapi('ContentBlobs')
export const byName = z.object({ name })
export const byId = z.object({ id: name })
export const byMember = z.object({ name, user: name })

export type ContentRepositoriesView = z.infer<typeof contentRepositoriesSchema>
export type ContentManifestsView = z.infer<typeof contentManifestsSchema>
export type ContentTagsView = z.infer<typeof contentTagsSchema>
export type ContentMovesView = z.infer<typeof contentMovesSchema>
export type ContentBlobsView = z.infer<typeof contentBlobsSchema>
export type UserView = z.infer<typeof userSchema>
export type UserDetailView = z.infer<typeof userDetailSchema>
export type UsersView = z.infer<typeof usersSchema>
export type GroupsView = z.infer<typeof groupsSchema>
export type MembersView = z.infer<typeof membersSchema>
export type TokenView = z.infer<typeof tokenSchema>
export type TokensView = z.infer<typeof tokensSchema>
export type TokenMadeView = z.infer<typeof tokenMadeSchema>
export type RevokedView = z.infer<typeof revokedSchema>
export type RobotView = z.infer<typeof robotSchema>
export type RobotsView = z.infer<typeof robotsSchema>
export type RobotMadeView = z.infer<typeof robotMadeSchema>
export type RuleView = z.infer<typeof ruleSchema>
export type RulesView = z.infer<typeof rulesSchema>
export type RuleChangedView = z.infer<typeof ruleChangedSchema>
export type AclAnswerView = z.infer<typeof aclAnswerSchema>
export type AuditView = z.infer<typeof auditSchema>
export type KeyView = z.infer<typeof keySchema>
export type KeysView = z.infer<typeof keysSchema>
