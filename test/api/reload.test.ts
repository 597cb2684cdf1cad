import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Berth, startBerth } from '../start-berth.ts'
import { basic, hashOf, partsOf, replaceByRename, steadily, within, writePair } from './live-server.ts'

const SCOPE = 'service=Berth&scope=repository:app:pull,push'

let folder: string
let berth: Berth
/** In a folder as a mounted ConfigMap has it: `config.yml -> ..data/config.yml`, `..data -> ..1`. */
let config: string
let authConfig: string
const hashes: Record<string, string> = {}

const configOf = (header: string, more = '') =>
  [
    'version: 0.1',
    'storage:',
    '  filesystem: {}',
    'http:',
    `  headers: {X-Which: ["${header}"]}`,
    'log: {accesslog: {disabled: true}}',
    more,
  ].join('\n')

interface AuthParts {
  users?: readonly string[]
  actions?: string
  more?: string
}

const authOf = ({ users = ['ann', 'bob'], actions = '"*"', more = '' }: AuthParts = {}) =>
  [
    'server: {addr: "127.0.0.1:0"}',
    `token: {issuer: Berth, expiration: 900, certificate: "${folder}/token.crt", key: "${folder}/token.key"}`,
    `htpasswd: {path: "${folder}/htpasswd"}`,
    // The tests look whether somebody may log in now, again and again.
    'throttle: {enabled: false}',
    'users:',
    ...users.map((user) => `  ${user}: {password: "${hashes[user]}"}`),
    `acl: [{match: {account: "/.+/"}, actions: [${actions}]}]`,
    more,
  ].join('\n')

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'berth-reload-'))
  for (const user of ['ann', 'bob', 'carol', 'dave']) hashes[user] = await hashOf(`${user} secret`)
  writePair(folder, 'token', { commonName: 'first', kind: 'rsa' })
  writeFileSync(join(folder, 'htpasswd'), `hank:${hashes.carol}\n`)
  mountConfig(1, configOf('one'))
  symlinkSync('..data/config.yml', join(folder, 'config.yml'))
  config = join(folder, 'config.yml')
  authConfig = join(folder, 'auth_config.yml')
  writeFileSync(authConfig, authOf())
  berth = await startBerth({ args: [config, '--auth-config', authConfig], listeners: 2 })
})
afterAll(async () => {
  await berth?.dispose()
  rmSync(folder, { recursive: true, force: true })
})

/** The swap of a ConfigMap: a new folder, then `..data` points there, in one rename. */
function mountConfig(version: number, text: string): void {
  mkdirSync(join(folder, `..${version}`))
  writeFileSync(join(folder, `..${version}`, 'config.yml'), text)
  symlinkSync(`..${version}`, join(folder, '..data_tmp'))
  renameSync(join(folder, '..data_tmp'), join(folder, '..data'))
}

const askToken = (user: string, password = `${user} secret`, keepalive = true) =>
  fetch(`${berth.url}/auth?${SCOPE}`, { headers: basic(user, password), keepalive })
async function tokenFor(user: string, password?: string): Promise<string> {
  const response = await askToken(user, password)
  const { token } = (await response.json()) as { token: string }
  return token
}
const loginOf = async (user: string, password?: string) => (await askToken(user, password)).status
const asksWith = async (token: string) =>
  (await fetch(`${berth.url}/v2/`, { headers: { Authorization: `Bearer ${token}` } })).status
const grantedTo = async (user: string) => {
  const [entry] = partsOf(await tokenFor(user)).claims.access as { actions: string[] }[]
  return entry?.actions.join(',')
}
const headerNow = async () => (await fetch(`${berth.url}/v2/`)).headers.get('x-which')
const countOf = (text: string) => berth.log().split(text).length - 1
const IN_FORCE = 'the configuration was read again and is in force'

/** While the work runs, whoever is logged in goes on without one failed request. */
async function undisturbed(work: () => Promise<void>): Promise<void> {
  const token = await tokenFor('ann')
  const headers = { Authorization: `Bearer ${token}` }
  const streams = [
    steadily((keepalive) => fetch(`${berth.url}/v2/`, { headers, keepalive })),
    steadily((keepalive) => askToken('ann', undefined, keepalive)),
  ]
  try {
    await work()
  } finally {
    for (const stream of streams) {
      expect((await stream.end()).failures).toEqual([])
    }
  }
}

describe('a changed config.yml is in force', () => {
  test.each<[string, string, (text: string) => void]>([
    ['when the symbolic link of a mounted ConfigMap is swapped', 'two', (text) => mountConfig(2, text)],
    ['when it is written in place', 'three', (text) => writeFileSync(config, text)],
    ['when another file is renamed to its name', 'four', (text) => replaceByRename(config, text)],
    [
      'when it was away for a while',
      'five',
      (text) => {
        rmSync(config)
        Bun.sleepSync(500)
        writeFileSync(config, text)
      },
    ],
    [
      'at once when SIGHUP is sent',
      'six',
      (text) => {
        writeFileSync(config, text)
        process.kill(berth.pid, 'SIGHUP')
      },
    ],
  ])(
    '%s',
    async (title, header, change) => {
      await undisturbed(async () => {
        change(configOf(header))
        await within(title, headerNow, (seen) => seen === header)
      })
    },
    180_000,
  )
})

test('SIGHUP reads everything again, changed or not', async () => {
  const before = countOf(IN_FORCE)
  process.kill(berth.pid, 'SIGHUP')
  await within(
    'SIGHUP without a change',
    () => countOf(IN_FORCE),
    (count) => count > before,
  )
}, 180_000)

describe('a changed auth_config.yml', () => {
  test('brings users, changes passwords, and takes users away', async () => {
    expect(await Promise.all([loginOf('bob'), loginOf('dave')])).toEqual([200, 401])
    await undisturbed(async () => {
      const bob = hashes.bob
      hashes.bob = await hashOf('another')
      writeFileSync(authConfig, authOf({ users: ['ann', 'bob', 'dave'] }))
      await within(
        'a new user',
        () => loginOf('dave'),
        (status) => status === 200,
      )
      // The old password was right a moment ago, and is remembered as such: not for the new hash.
      expect(await Promise.all([loginOf('bob'), loginOf('bob', 'another')])).toEqual([401, 200])
      hashes.bob = bob ?? ''
      writeFileSync(authConfig, authOf({ users: ['ann', 'bob'] }))
      await within(
        'a user who is gone',
        () => loginOf('dave'),
        (status) => status === 401,
      )
    })
  }, 180_000)

  test('brings other rules', async () => {
    expect(await grantedTo('bob')).toBe('pull,push')
    await undisturbed(async () => {
      writeFileSync(authConfig, authOf({ actions: '"pull"' }))
      await within(
        'other rules',
        () => grantedTo('bob'),
        (actions) => actions === 'pull',
      )
    })
  }, 180_000)

  test('may turn a source of rules on, whose own files are watched from then on', async () => {
    const model = join(folder, 'model.conf')
    const policy = join(folder, 'policy.csv')
    writeFileSync(
      model,
      [
        '[request_definition]\nr = account, type, name, service, ip, action, labels',
        '[policy_definition]\np = account, name, action',
        '[policy_effect]\ne = some(where (p.eft == allow))',
        '[matchers]\nm = r.account == p.account && r.name == p.name && r.action == p.action',
      ].join('\n'),
    )
    writeFileSync(policy, '')
    const text = authOf()
      .replace(/^acl: .*$/m, `casbin_authz: {model_path: "${model}", policy_path: "${policy}"}`)
      .concat('\n')
    await undisturbed(async () => {
      writeFileSync(authConfig, text)
      await within(
        'casbin in place of rules',
        () => grantedTo('ann'),
        (actions) => actions === '',
      )
      const before = countOf(IN_FORCE)
      writeFileSync(policy, 'p, ann, app, pull\n')
      await within(
        "casbin's policy",
        () => countOf(IN_FORCE),
        (count) => count > before,
      )
      writeFileSync(authConfig, authOf())
      await within(
        'rules in place of casbin',
        () => grantedTo('ann'),
        (actions) => actions === 'pull,push',
      )
    })
  }, 180_000)
})

test('a changed file of htpasswd lets others in, and those who are gone no more', async () => {
  expect(await Promise.all([loginOf('hank', 'carol secret'), loginOf('dave')])).toEqual([200, 401])
  writeFileSync(join(folder, 'htpasswd'), `dave:${hashes.dave}\n`)
  await within(
    'htpasswd',
    () => loginOf('dave'),
    (status) => status === 200,
  )
  expect(await loginOf('hank', 'carol secret')).toBe(401)
}, 180_000)

test('another pair of token keys signs, while tokens of the old one stay valid and both are published', async () => {
  const old = await tokenFor('ann')
  expect(partsOf(old).header.alg).toBe('RS256')
  const published = async () => {
    const response = await fetch(`${berth.url}/.well-known/jwks.json`)
    const { keys } = (await response.json()) as { keys: { kty: string }[] }
    // Each is there under every name that registries know it by.
    return [...new Set(keys.map(({ kty }) => kty))].join(',')
  }
  expect(await published()).toBe('RSA')
  await undisturbed(async () => {
    writePair(folder, 'token', { commonName: 'second', kind: 'ec' })
    const fresh = await within(
      'another token key',
      () => tokenFor('ann'),
      (token) => partsOf(token).header.alg === 'ES256',
    )
    expect(await Promise.all([asksWith(fresh), asksWith(old)])).toEqual([200, 200])
    expect(await published()).toBe('EC,RSA')
  })
}, 180_000)

describe('a file that cannot be used is logged with what is wrong, and the one before stays in force', () => {
  /** What the log says besides, from the change on. */
  async function refused(change: () => void, expected: readonly (string | RegExp)[]): Promise<void> {
    const before = berth.log().length
    await undisturbed(async () => {
      change()
      await within(
        'a refusal',
        () => berth.log().slice(before),
        (text) => expected.every((part) => (typeof part === 'string' ? text.includes(part) : part.test(text))),
      )
    })
    expect(berth.log().slice(before)).not.toContain(IN_FORCE)
  }

  async function mended(change: () => void): Promise<void> {
    const before = countOf(IN_FORCE)
    await undisturbed(async () => {
      change()
      await within(
        'a mended file',
        () => countOf(IN_FORCE),
        (count) => count > before,
      )
    })
  }

  test('several mistakes in config.yml, each with its line', async () => {
    const header = await headerNow()
    const text = configOf('bad', 'validation: {manifests: {urls: {allow: ["("]}}}\nloglevel: noisy')
    await refused(() => writeFileSync(config, text), [`${config}:7`, `${config}:8`, 'the one before stays in force'])
    expect(await headerNow()).toBe(header)
    await mended(() => writeFileSync(config, configOf('mended')))
    expect(await headerNow()).toBe('mended')
  }, 180_000)

  test('an auth_config.yml that is no YAML', async () => {
    const change = () => writeFileSync(authConfig, `${authOf()}\nusers: {{{`)
    await refused(change, [`${authConfig}:`, 'the one before stays in force'])
    expect(await loginOf('bob')).toBe(200)
    await mended(() => writeFileSync(authConfig, authOf()))
  }, 180_000)

  test('a file that is gone', async () => {
    await refused(() => rmSync(authConfig), [`${authConfig} there is no such file`])
    expect(await loginOf('bob')).toBe(200)
    await mended(() => writeFileSync(authConfig, authOf()))
  }, 180_000)

  test('a token key that does not belong to its certificate', async () => {
    const key = join(folder, 'token.key')
    const good = await Bun.file(key).text()
    const { header } = partsOf(await tokenFor('ann'))
    const other = writePair(join(folder, 'other'), 'token', { commonName: 'x', kind: 'ec' })
    const bad = await Bun.file(other.key).text()
    await refused(() => writeFileSync(key, bad), ['the token key does not belong to the token certificate'])
    expect(partsOf(await tokenFor('ann')).header).toEqual(header)
    await mended(() => writeFileSync(key, good))
  }, 180_000)

  test('a file that is written half, and its other half later', async () => {
    const whole = configOf('whole')
    await refused(() => writeFileSync(config, whole.slice(0, whole.indexOf('"whole') + 4)), [`${config}:`])
    expect(await headerNow()).toBe('mended')
    writeFileSync(config, whole)
    await within('the other half', headerNow, (seen) => seen === 'whole')
  }, 180_000)

  test('a file that comes in small pieces', async () => {
    const whole = configOf('pieces', `# ${'x'.repeat(2000)}`)
    await undisturbed(async () => {
      for (let end = 0; end < whole.length + 300; end += 300) {
        writeFileSync(config, whole.slice(0, end))
        await Bun.sleep(30)
      }
      await within('the last piece', headerNow, (seen) => seen === 'pieces')
    })
  }, 180_000)
})

test.each([
  ['the log', () => writeFileSync(config, configOf('loud', '').replace('log: {', 'log: {level: debug, ')), 'log'],
  [
    "the token server's address",
    () => writeFileSync(authConfig, authOf().replace('127.0.0.1:0', '127.0.0.1:1')),
    "the token server's server.addr",
  ],
  [
    'the file of the audit log',
    () => writeFileSync(authConfig, authOf({ more: `audit: {file: "${folder}/elsewhere.log"}` })),
    'audit.file',
  ],
])(
  '%s cannot change while the server runs, which is warned of',
  async (_, change, part) => {
    const before = countOf(IN_FORCE)
    await undisturbed(async () => {
      change()
      const warning = JSON.stringify(`a change of ${part} needs a restart`)
      await within(
        `a warning of ${part}`,
        () => berth.log(),
        (log) => log.includes(`level=warning msg=${warning}`),
      )
      await within(
        'the rest',
        () => countOf(IN_FORCE),
        (count) => count > before,
      )
    })
  },
  180_000,
)
