import { expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { missingFiles } from './files.ts'
import { loadConfig } from './load.ts'

const folder = mkdtempSync(join(tmpdir(), 'berth-files-'))
const there = join(folder, 'there')
writeFileSync(there, '')

function found(env: Record<string, string>): string[] {
  const { config, problems } = loadConfig({ env, flags: {} })
  if (config === undefined) throw new Error(JSON.stringify(problems))
  const missing = missingFiles(config)
  return [
    ...missing.problems.map(({ path, message }) => `problem ${path}: ${message}`),
    ...missing.warnings.map(({ path, message }) => `warning ${path}: ${message}`),
  ]
}

test('files that are not there are named by their keys', () => {
  const env = { REGISTRY_HTTP_TLS_CERTIFICATE: '/none.crt', REGISTRY_HTTP_TLS_KEY: there }
  expect(found(env)).toEqual(['problem http.tls.certificate: /none.crt is not there'])
})

test('a bundle that is a folder is no file', () => {
  const token = { REALM: 'https://a/auth', SERVICE: 's', ISSUER: 'i', ROOTCERTBUNDLE: folder }
  const env = Object.fromEntries(Object.entries(token).map(([key, value]) => [`REGISTRY_AUTH_TOKEN_${key}`, value]))
  expect(found(env)).toEqual([`problem auth.token.rootcertbundle: ${folder} is a folder, not a file`])
})

test('a htpasswd file may come later', () => {
  const env = { REGISTRY_AUTH: 'htpasswd', REGISTRY_AUTH_HTPASSWD_REALM: 'r', REGISTRY_AUTH_HTPASSWD_PATH: '/none' }
  expect(found(env)).toEqual(['warning auth.htpasswd.path: /none is not there'])
})

test('nothing is said of files that are there, and of keys that name none', () => {
  expect(found({})).toEqual([])
  expect(found({ REGISTRY_HTTP_TLS_CERTIFICATE: there, REGISTRY_HTTP_TLS_KEY: there })).toEqual([])
  rmSync(folder, { recursive: true })
})
