import { expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { configCommand } from './config.ts'
import { CommandError } from './error.ts'

const fixtures = join(import.meta.dir, '..', 'config', 'fixtures')

async function run(
  args: string[],
  env: Record<string, string> = {},
): Promise<{ out: string; error: string; code: number }> {
  const result = { out: '', error: '', code: 0 }
  const command = configCommand({
    env,
    out: (text) => {
      result.out += text
    },
    error: (text) => {
      result.error += text
    },
    setExitCode: (code) => {
      result.code = code
    },
  })
  await command.parseAsync(args, { from: 'user' })
  return {
    ...result,
    out: result.out.replaceAll(`${fixtures}/`, ''),
    error: result.error.replaceAll(`${fixtures}/`, ''),
  }
}

test('check of a file that can be used prints its warnings and exits with 0', async () => {
  const env = { REGISTRY_AUTH_HTPASSWD_PATH: join(fixtures, 'debian.yml'), REGISTRY_HTTP_DEBUG_ADDR: ':5001' }
  expect(await run(['check', join(fixtures, 'debian.yml')], env)).toEqual({
    out: `REGISTRY_HTTP_DEBUG_ADDR: warning: http.debug.addr: the debug server asks nobody who he is, and listens on every address of this machine
    Write 127.0.0.1:PORT, or keep strangers from the port with a firewall.
The configuration can be used (1 warning).
`,
    error: '',
    code: 0,
  })
})

test('check says which files are not there', async () => {
  const env = { REGISTRY_HTTP_TLS_CERTIFICATE: '/none.crt', REGISTRY_HTTP_TLS_KEY: '/none.key' }
  const result = await run(['check'], env)
  expect(result.error).toContain('error: http.tls.certificate: /none.crt is not there')
  expect(result.error).toContain('error: http.tls.key: /none.key is not there')
  expect(result.code).toBe(1)
})

test('check prints every problem and exits with 1', async () => {
  const result = await run(
    ['check', '--auth-config', join(fixtures, 'auth-config.yml'), '--addr', 'x', '--compat', 'strict'],
    {
      REGISTRY_TYPO: '1',
      REGISTRY_AUTH_TOKEN_ISSUER: 'Other',
    },
  )
  expect(result).toEqual({
    out: '',
    error: `REGISTRY_TYPO: error: typo is an unknown key
--addr: error: http.addr: "x" is not HOST:PORT
    Write an address such as ":5000" or "127.0.0.1:5000".
REGISTRY_AUTH_TOKEN_ISSUER: error: auth.token.issuer: the registry expects tokens issued by "Other", but the token server issues them as "Auth Service" (auth-config.yml:6: token.issuer)
    Make both the same.
`,
    code: 1,
  })
})

test('print shows the sources and masks secrets', async () => {
  const { out, error, code } = await run(
    ['print', '--auth-config', join(fixtures, 'auth-config.yml'), '--data', '/d'],
    {
      REGISTRY_HTTP_SECRET: 'hidden',
    },
  )
  expect([error, code]).toEqual(['', 0])
  expect(out).toContain('rootdirectory: /d # --data\n')
  expect(out).toContain('secret: "********" # REGISTRY_HTTP_SECRET\n')
  expect(out).toContain('issuer: Auth Service # auth-config.yml:6\n')
  expect(out).not.toContain('$2y$')
})

test('check and print have a form for programs', async () => {
  const env = { REGISTRY_HTTP_ADDR: 'x', REGISTRY_AUTH: 'none', REGISTRY_CATALOG_MAXENTRIES: 'many' }
  const check = await run(['check', '--format', 'json'], env)
  expect([check.code, check.error]).toEqual([1, ''])
  expect(JSON.parse(check.out)).toEqual({
    usable: false,
    problems: [
      {
        where: 'REGISTRY_CATALOG_MAXENTRIES',
        path: 'catalog.maxentries',
        message: 'must be a whole number, not a text',
      },
      {
        where: 'REGISTRY_HTTP_ADDR',
        path: 'http.addr',
        message: '"x" is not HOST:PORT',
        fix: 'Write an address such as ":5000" or "127.0.0.1:5000".',
      },
    ],
    warnings: [],
  })
  const print = await run(['print', '--output', 'json'], { REGISTRY_AUTH: 'none', REGISTRY_HTTP_SECRET: 'hidden' })
  const { values } = JSON.parse(print.out) as { values: { key: string }[] }
  expect(values.find(({ key }) => key === 'http.secret')).toEqual({
    key: 'http.secret',
    value: '********',
    source: 'REGISTRY_HTTP_SECRET',
  } as never)
  expect([print.code, print.error]).toEqual([0, ''])
})

test('schema prints a JSON Schema, of either file, or every key as a document', async () => {
  const [config, auth, document] = [
    await run(['schema']),
    await run(['schema', '--auth']),
    await run(['schema', '--markdown']),
  ]
  expect(Object.keys(JSON.parse(config.out).properties)).toContain('storage')
  expect(Object.keys(JSON.parse(auth.out).properties)).toContain('acl')
  expect(document.out).toStartWith('# Configuration\n')
})

test.each(['check', 'print'])("%s leads the token server's file to its flag", async (verb) => {
  const folder = mkdtempSync(join(tmpdir(), 'berth-config-'))
  try {
    const named = join(folder, 'auth config.yml')
    writeFileSync(named, 'server: {addr: ":5001"}\ntoken: {issuer: here, expiration: 900}\n')
    expect(await run([verb, named]).catch((error: unknown) => error)).toEqual(
      new CommandError(`${named} is the token server's configuration (docker_auth's format), not the registry's`, 2, {
        hint: `berth config ${verb} --auth-config '${named}'`,
      }),
    )
    // What cannot be looked at is told by its reader.
    expect((await run([verb, join(named, 'below')])).code).toBe(1)
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('an image has a configuration, too, which another verb prints', async () => {
  const said = (word: string) => run([word]).catch((error: unknown) => error)
  expect(await said('host:5000/team/app:v1')).toEqual(
    new CommandError('berth config has no command "host:5000/team/app:v1"', 2, {
      hint: 'the configuration of an image: berth inspect --config host:5000/team/app:v1',
    }),
  )
  const file = join(fixtures, 'debian.yml')
  expect(await said(file)).toMatchObject({ exitCode: 2, hint: `berth config print ${file}` })
})
