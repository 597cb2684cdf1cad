import { ERROR_MESSAGES, type ErrorCode } from '../../oci/error.ts'
import { wireOf } from '../errors.ts'
import type { Schema } from './operation.ts'

const text = { type: 'string' }
const texts = { type: 'array', items: text }
const whole = { type: 'integer', minimum: 0 }
const time = { type: 'string', format: 'date-time' }
const digest = { type: 'string', pattern: '^sha(256:[0-9a-f]{64}|512:[0-9a-f]{128})$' }
const timeOrNull = { type: ['string', 'null'], format: 'date-time' }

function map(properties: Schema, optional: Schema = {}, more: Schema = {}): Schema {
  return { type: 'object', properties: { ...properties, ...optional }, required: Object.keys(properties), ...more }
}

const tally = map({ count: whole, bytes: whole }, {}, { additionalProperties: false })

const errors = {
  type: 'array',
  minItems: 1,
  items: map(
    { code: { type: 'string', enum: wireCodes() }, message: text },
    { detail: { description: 'What helps to understand it: an object, a list, a text, or null' } },
    { additionalProperties: false },
  ),
}

/** Of the parts that are no routes of the admin API, whose schemas come from zod. */
export const SCHEMAS: Readonly<Record<string, Schema>> = {
  Nothing: { type: 'object', maxProperties: 0 },
  Errors: map({ errors }),
  Catalog: map({ repositories: texts }),
  TagNames: map({ name: text, tags: texts }),
  Manifest: {
    type: 'object',
    description: 'OCI Image Specification 1.1, or Docker’s manifest version 2, schema 2',
    properties: { schemaVersion: { const: 2 } },
    required: ['schemaVersion'],
    additionalProperties: true,
  },
  Referrers: map({
    schemaVersion: { const: 2 },
    mediaType: { const: 'application/vnd.oci.image.index.v1+json' },
    manifests: {
      type: 'array',
      items: map(
        { mediaType: text, digest, size: whole },
        { artifactType: text, annotations: { type: 'object', additionalProperties: text } },
      ),
    },
  }),
  TagsOverview: map({
    name: text,
    tags: {
      type: 'array',
      items: map(
        {
          name: text,
          digest,
          mediaType: text,
          size: { ...whole, description: 'Bytes of the manifest, its children and their blobs, each counted once' },
          pushedAt: time,
          pulls: whole,
          lastPullAt: timeOrNull,
        },
        {},
        { additionalProperties: false },
      ),
    },
  }),
  Purged: map(
    {
      name: text,
      digest,
      manifests: {
        type: 'array',
        description: 'Gone for good',
        items: map({ digest, size: whole }, {}, { additionalProperties: false }),
      },
      kept: {
        type: 'array',
        description: 'What belongs to it and stays',
        items: map(
          { digest, why: { type: 'string', enum: ['named-in-trash', 'in-use', 'another-deletion', 'busy'] } },
          {},
          { additionalProperties: false },
        ),
      },
      blobs: { ...tally, description: 'That nobody can reach any more' },
      unlinked: { ...tally, description: 'Those of them that are off the disk; the others follow by themselves' },
    },
    {},
    { additionalProperties: false },
  ),
  TokenAnswer: map(
    {
      access_token: { ...text, description: 'A JWT; its claim `access` says what was granted' },
      expires_in: { ...whole, description: 'Seconds' },
      issued_at: time,
      token: { ...text, description: 'The same as access_token' },
    },
    {
      refresh_token: {
        ...text,
        description: 'With `offline_token=true` or `access_type=offline`, where they are issued',
      },
      scope: { ...text, description: 'What was granted; to a POST with a grant_type' },
    },
    { additionalProperties: false },
  ),
  OAuthError: map({
    error: text,
    error_description: text,
    errors,
  }),
  Jwks: map({
    keys: {
      type: 'array',
      items: map(
        { kty: text, kid: text, alg: text, use: { const: 'sig' } },
        { x5c: texts },
        {
          description: 'RFC 7517, each key under every `kid` that a registry may look for',
          not: { required: ['d'] },
          additionalProperties: true,
        },
      ),
    },
  }),
  HealthChecks: {
    type: 'object',
    description: 'Checks that fail, and what is wrong; empty when all is well',
    additionalProperties: text,
  },
}

function wireCodes(): string[] {
  const codes = Object.keys(ERROR_MESSAGES) as ErrorCode[]
  return [...new Set(codes.map((code) => wireOf(code).code))].sort()
}
