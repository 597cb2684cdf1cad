import { afterAll, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CommandError } from './error.ts'
import { healthcheckCommand } from './healthcheck.ts'
import { type ServerCommand, serverOf } from './running-servers.ts'

const folder = mkdtempSync(join(tmpdir(), 'berth-healthcheck-'))
const asked: string[] = []
const answers: Record<string, () => Response> = {
  '/readyz': () => new Response('ok\n'),
  '/': () => new Response('<h1>A</h1>\n'),
  '/away': () => Response.redirect('/elsewhere', 301),
  '/v2/': () => new Response('', { status: 401 }),
  '/down': () => new Response('storage: gone\nmore\n', { status: 503 }),
}
const server = Bun.serve({
  ...{ hostname: '127.0.0.1', port: 0 },
  fetch(request) {
    const { pathname } = new URL(request.url)
    asked.push(pathname)
    return answers[pathname]?.() ?? new Response('', { status: 404 })
  },
})
const address = `127.0.0.1:${server.port}`
const url = `http://${address}`
const authConfig = join(folder, 'auth_config.yml')
writeFileSync(
  authConfig,
  `server: {addr: "${address}"}\ntoken: {issuer: A, expiration: 900}\nusers: {a: {}}\nacl: []\n`,
)
const broken = join(folder, 'config.yml')
writeFileSync(broken, 'version: 0.1\nhttp: {addr: [1]}\n')

afterAll(async () => {
  await server.stop(true)
  rmSync(folder, { recursive: true })
})

async function check(args: readonly string[], servers: readonly string[] = []) {
  asked.length = 0
  let out = ''
  const command = healthcheckCommand({
    env: {},
    servers: () => servers.map((line) => serverOf(line.split(' ')) as ServerCommand),
    out: (text) => {
      out += text
    },
  })
  try {
    await command
      .exitOverride()
      .configureOutput({ writeErr: () => {} })
      // A machine that is busy answers late.
      .parseAsync(args.includes('--timeout') ? [...args] : [...args, '--timeout', '60'], { from: 'user' })
    return { code: 0, said: out, asked: [...asked] }
  } catch (error) {
    const code = error instanceof CommandError ? error.exitCode : 2
    return { code, said: error instanceof Error ? error.message : '', asked: [...asked] }
  }
}

test.each<[string, string[], string[], { code: number; said: string; asked: string[] }]>([
  [
    'the running registry is asked whether it is ready',
    [],
    [`berth serve --addr ${address}`],
    { code: 0, said: `healthy: ${url}/readyz answers 200\n`, asked: ['/readyz'] },
  ],
  [
    'an address for every interface is asked on the loopback one',
    ['--addr', `:${server.port}`],
    [],
    { code: 0, said: `healthy: ${url}/readyz answers 200\n`, asked: ['/readyz'] },
  ],
  [
    'the running token server is asked for its page',
    [],
    [`berth auth ${authConfig}`],
    { code: 0, said: `healthy: ${url}/ answers 200\n`, asked: ['/'] },
  ],
  [
    'a token server in the same process is asked, too',
    ['--addr', address, '--auth-config', authConfig],
    [],
    { code: 0, said: `healthy: ${url}/readyz answers 200; ${url}/ answers 200\n`, asked: ['/readyz', '/'] },
  ],
  [
    'a URL without a path',
    ['--url', url],
    [],
    { code: 0, said: `healthy: ${url}/readyz answers 200\n`, asked: ['/readyz'] },
  ],
  ['a URL with a path', ['--url', `${url}/`], [], { code: 0, said: `healthy: ${url}/ answers 200\n`, asked: ['/'] }],
  [
    'who asks for credentials is well',
    ['--url', `${url}/v2/`],
    [],
    { code: 0, said: `healthy: ${url}/v2/ answers 401\n`, asked: ['/v2/'] },
  ],
  [
    'a page that leads elsewhere is not followed',
    ['--url', `${url}/away`],
    [],
    { code: 0, said: `healthy: ${url}/away answers 301\n`, asked: ['/away'] },
  ],
  [
    'what is not ready says why in one line',
    ['--url', `${url}/down`],
    [],
    { code: 1, said: `unhealthy: ${url}/down answers 503 (storage: gone)`, asked: ['/down'] },
  ],
  ['another program', ['--url', `${url}/x`], [], { code: 1, said: `unhealthy: ${url}/x answers 404`, asked: ['/x'] }],
  ['no server', [], [], { code: 1, said: 'unhealthy: no server runs here; ask another place with --url', asked: [] }],
  [
    'several servers',
    [],
    ['berth serve', 'berth auth a.yml'],
    { code: 1, said: '2 servers run here; say which is meant with its config.yml, or with --url', asked: [] },
  ],
  [
    'a configuration with a fault',
    [broken],
    [],
    { code: 1, said: 'unhealthy: the configuration cannot be used: see berth config check', asked: [] },
  ],
  [
    'a port that the system chose, where nobody has the data directory',
    ['--addr', '127.0.0.1:0', '--data', folder],
    [],
    { code: 1, said: `unhealthy: no server answers for ${folder}`, asked: [] },
  ],
  [
    'what is no URL',
    ['--url', address],
    [],
    { code: 2, said: `"${address}" is no URL such as http://127.0.0.1:5000`, asked: [] },
  ],
])('%s', async (_, args, servers, expected) => {
  expect(await check(args, servers)).toEqual(expected)
})

test('a server that is silent, and one that is not there', async () => {
  const silent = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data() {} } })
  const place = `http://127.0.0.1:${silent.port}/readyz`
  expect(await check(['--url', place, '--timeout', '0.05'])).toEqual({
    ...{ code: 1, said: `unhealthy: ${place} gives no answer in 0.05 s`, asked: [] },
  })
  silent.stop(true)
  expect(await check(['--url', place])).toEqual({
    ...{ code: 1, said: expect.stringContaining(`unhealthy: ${place} does not answer: `), asked: [] },
  })
})
