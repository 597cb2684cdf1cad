import { expect } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startRegistry, type TestRegistry } from '../start-registry.ts'
import { imageManifest, pushBlob, pushManifest } from './content.ts'
import type { Answer } from './exchange.ts'
import { bearer, createIssuer, type Issuer, REALM, repository, SERVICE, tokenOf, trusting } from './issuer.ts'

export const IMAGE = 'admin-image'
const REPOSITORIES = [IMAGE, 'other', 'secret']

export interface TokenRegistry {
  registry: TestRegistry
  /** Whose tokens it takes. */
  issuer: Issuer
  /** Whose it does not. */
  stranger: Issuer
  /** For files of the test; gone after `stop`. */
  folder: string
  stop(): Promise<void>
}

/**
 * A registry that takes the tokens of an issuer, with the repositories `admin-image`, `other` and `secret`: each has
 * the tag `tag1` and a blob `only in NAME`.
 */
export async function startTokenRegistry(): Promise<TokenRegistry> {
  const folder = mkdtempSync(join(tmpdir(), 'berth-test-'))
  const [issuer, stranger] = await Promise.all(['a', 'b'].map((name) => createIssuer(join(folder, name))))
  if (issuer === undefined || stranger === undefined) throw new Error('no issuers')
  const env = { ...trusting(issuer, join(folder, 'root.pem')), REGISTRY_STORAGE_DELETE_ENABLED: 'true' }
  const registry = await startRegistry({ env })
  const all = bearer(
    tokenOf(
      issuer,
      REPOSITORIES.map((name) => repository(name, '*')),
    ),
  )
  for (const name of REPOSITORIES) {
    for (const content of ['config', 'layer', `only in ${name}`]) await pushBlob(registry.port, name, content, all)
    await pushManifest(registry.port, name, 'tag1', imageManifest('config', ['layer']), undefined, all)
  }
  return {
    registry,
    issuer,
    stranger,
    folder,
    async stop() {
      await registry.stop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** A right as the body of a 401 has it. */
export interface Needed {
  Type: string
  Class: ''
  Name: string
  Action: string
}
/** What a request needs. */
export const need = (Type: string, Name: string, ...actions: string[]): Needed[] =>
  actions.map((Action) => ({ Type, Class: '', Name, Action }))

/** A 401 as registry:2 answers it, byte for byte. */
export function expectRefused(
  answer: Answer,
  detail: Needed[] | null,
  scope: string | undefined,
  error?: string,
): void {
  const more = `${scope === undefined ? '' : `,scope="${scope}"`}${error === undefined ? '' : `,error="${error}"`}`
  expect(answer.status).toBe(401)
  expect(answer.all).toMatchObject({
    'www-authenticate': [`Bearer realm="${REALM}",service="${SERVICE}"${more}`],
    'content-type': ['application/json; charset=utf-8'],
    'docker-distribution-api-version': ['registry/2.0'],
    'x-content-type-options': ['nosniff'],
  })
  const error401 = { code: 'UNAUTHORIZED', message: 'authentication required', detail }
  expect(answer.text).toBe(`${JSON.stringify({ errors: [error401] })}\n`)
}
