import { describe, expect, test } from 'bun:test'
import { loadText } from './fixtures/load-text.ts'

const SERVER = 'server: {addr: ":5001"}\ntoken: {issuer: I, expiration: 900}\n'
const HASH = '$2y$05$LO.vzwpWC5LZGqThvEfznu8qhb5SGqvBSWY1J3yZ4AxtMRZ3kN5jC'

describe('what would let more people in than was meant is refused', () => {
  const rows: [string, Parameters<typeof loadText>[0]][] = [
    ['a misspelt password of a user', { authFile: `${SERVER}users: {a: {pasword: "${HASH}"}}\nacl: []\n` }],
    ['a user written twice', { authFile: `${SERVER}users:\n  a: {password: "${HASH}"}\n  a: {}\nacl: []\n` }],
    ['users written twice', { authFile: `${SERVER}users: {}\nusers: {a: {}}\nacl: []\n` }],
    ['rules written twice', { authFile: `${SERVER}users: {}\nacl: []\nacl: [{match: {}, actions: ["*"]}]\n` }],
    [
      'a misspelt organization, without which everybody may sign in',
      { authFile: `${SERVER}github_auth: {client_id: c, client_secret: s, organisation: o}\nacl: []\n` },
    ],
    ['a misspelt domain', { authFile: `${SERVER}google_auth: {client_id: c, client_secret: s, domian: d}\nacl: []\n` }],
    ['auth.none that says no', { env: { REGISTRY_AUTH_NONE: 'false' } }],
    ['auth.none that is empty', { env: { REGISTRY_AUTH_NONE: '' } }],
    ['a misspelt auth', { file: 'version: 0.1\natuh: {htpasswd: {realm: r, path: /p}}\nstorage: {filesystem: {}}\n' }],
    ['a capital Auth', { file: 'version: 0.1\nAuth: {htpasswd: {realm: r, path: /p}}\nstorage: {filesystem: {}}\n' }],
    [
      'auth written twice',
      { file: 'version: 0.1\nauth: {htpasswd: {realm: r, path: /p}}\nauth: none\nstorage: {filesystem: {}}\n' },
    ],
    [
      'auth in a second document',
      { file: 'version: 0.1\nstorage: {filesystem: {}}\n---\nauth: {htpasswd: {realm: r, path: /p}}\n' },
    ],
    [
      'a misspelt auth in a variable',
      { file: 'version: 0.1\nstorage: {filesystem: {}}\n', env: { REGISTRY_AUHT_HTPASSWD_PATH: '/p' } },
    ],
  ]
  test.each(rows)('%s', (_, input) => {
    const { config, problems } = loadText(input)
    expect({ config, refused: problems.length > 0 }).toEqual({ config: undefined, refused: true })
  })
})
