import { afterAll, beforeAll, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Berth, startBerth } from '../start-berth.ts'
import { basic, hashOf, partsOf, replaceByRename, shownName, steadily, within, writePair } from './live-server.ts'

const INSECURE = { tls: { rejectUnauthorized: false } }
const QUERY = 'service=registry&scope=repository:app:pull,push'

let folder: string
let file: string
let berth: Berth
let hash: string

const configOf = (actions = '"*"', addr = '127.0.0.1:0') =>
  [
    `server: {addr: "${addr}", certificate: "${folder}/server.crt", key: "${folder}/server.key"}`,
    `token: {issuer: Acme, expiration: 900, certificate: "${folder}/token.crt", key: "${folder}/token.key"}`,
    `users: {ann: {password: "${hash}"}}`,
    `acl: [{match: {account: ann}, actions: [${actions}]}]`,
  ].join('\n')

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'berth-reload-'))
  file = join(folder, 'auth_config.yml')
  hash = await hashOf('secret')
  writePair(folder, 'server', { commonName: 'one', kind: 'ec' })
  writePair(folder, 'token', { commonName: 'token', kind: 'rsa' })
  writeFileSync(file, configOf())
  berth = await startBerth({ verb: 'auth', args: [file] })
})
afterAll(async () => {
  await berth?.dispose()
  rmSync(folder, { recursive: true, force: true })
})

const asks = (keepalive: boolean) =>
  fetch(`${berth.url}/auth?${QUERY}`, { headers: basic('ann', 'secret'), keepalive, ...INSECURE })
const tokenNow = async () => partsOf(((await (await asks(true)).json()) as { token: string }).token)
const actionsNow = async () => {
  const { claims } = await tokenNow()
  const [entry] = claims.access as { actions: string[] }[]
  return entry?.actions.join()
}

async function undisturbed(work: () => Promise<void>): Promise<void> {
  const stream = steadily(asks)
  try {
    await work()
  } finally {
    expect((await stream.end()).failures).toEqual([])
  }
}

test.each<[string, string, (text: string) => void]>([
  ['written in place', 'pull', (text) => writeFileSync(file, text)],
  ['renamed into its place', 'push', (text) => replaceByRename(file, text)],
  [
    'told of by SIGHUP',
    'pull',
    (text) => {
      writeFileSync(file, text)
      process.kill(berth.pid, 'SIGHUP')
    },
  ],
])(
  'a token server alone takes a file that is %s',
  async (title, actions, change) => {
    await undisturbed(async () => {
      change(configOf(`"${actions}"`))
      await within(title, actionsNow, (seen) => seen === actions)
    })
  },
  180_000,
)

test('a bad file is logged with its line, a half one too, and the one before stays until it is whole', async () => {
  writeFileSync(file, configOf())
  await within('the first rules', actionsNow, (seen) => seen === 'pull,push')
  for (const text of [configOf('3').replace('expiration: 900', 'expiration: -1'), configOf('"pull').slice(0, -4)]) {
    const before = berth.log().length
    await undisturbed(async () => {
      writeFileSync(file, text)
      const refused = (log: string) => log.includes(`${file}:`) && log.includes('the one before stays in force')
      await within('a refusal', () => berth.log().slice(before), refused)
    })
    expect(await actionsNow()).toBe('pull,push')
  }
  writeFileSync(file, configOf('"push"'))
  await within('a whole file', actionsNow, (seen) => seen === 'push')
}, 180_000)

test('another certificate is shown to new connections', async () => {
  await undisturbed(async () => {
    writePair(folder, 'server', { commonName: 'two', kind: 'rsa' })
    await within(
      'the certificate',
      () => shownName(berth.port),
      (shown) => shown === 'two',
    )
  })
}, 180_000)

test('another pair of token keys signs, and both are published', async () => {
  const { header } = await tokenNow()
  expect(header.alg).toBe('RS256')
  await undisturbed(async () => {
    writePair(folder, 'token', { commonName: 'another', kind: 'ec' })
    await within('the token key', tokenNow, (token) => token.header.alg === 'ES256')
  })
  const published = await fetch(`${berth.url}/.well-known/jwks.json`, INSECURE)
  const { keys } = (await published.json()) as { keys: { kid: string }[] }
  const ids = keys.map(({ kid }) => kid)
  expect(ids).toContain(String(header.kid))
  expect(ids).toContain(String((await tokenNow()).header.kid))
}, 180_000)

test('its address cannot change while it runs, which is warned of, and the rest is in force', async () => {
  await undisturbed(async () => {
    writeFileSync(file, configOf('"pull"', '127.0.0.1:1'))
    await within('the rest', actionsNow, (seen) => seen === 'pull')
  })
  const warning = 'level=warning msg="a change of server.addr needs a restart"'
  await within('the warning', berth.log, (log) => log.includes(warning))
}, 180_000)
