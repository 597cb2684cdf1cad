import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Command } from 'commander'
import { openVerbShell } from '../../../test/clients/verb-shell.ts'
import { cleanEnvironment, run } from '../../../test/programs.ts'
import { BERTH } from '../../../test/start-berth.ts'
import { UpstreamError } from '../../upstream/error.ts'
import { contextOfProcess } from './context.ts'
import { withHubHint } from './failure.ts'
import { VERB_ALIASES, VERBS } from './verbs.ts'

const shell = openVerbShell('/nonexistent')

/** An open registry with many tags, one of which never comes. */
let registry: Bun.Server<undefined>
beforeAll(() => {
  registry = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    idleTimeout: 0,
    fetch(request) {
      const { pathname } = new URL(request.url)
      if (pathname === '/v2/') return new Response('{}')
      if (pathname.startsWith('/v2/garbage/')) return new Response('<html>')
      if (pathname.startsWith('/v2/limited/')) {
        return Response.json({ errors: [{ code: 'DENIED', message: 'the quota is used up' }] }, { status: 409 })
      }
      if (pathname.startsWith('/v2/slow/')) return Promise.withResolvers<Response>().promise
      return Response.json({ tags: Array.from({ length: 50_000 }, (_, index) => `tag-${index}`) })
    },
  })
})
afterAll(() => registry.stop(true))
const repository = (name: string) => `127.0.0.1:${registry.port}/${name}`

describe('what goes wrong is told in a line, with an exit code', () => {
  test.each<[string, () => string[], number, RegExp]>([
    ['no operand', () => ['ls'], 64, /missing required argument/],
    ['an unknown option', () => ['ls', 'x/y', '--nothing'], 64, /unknown option/],
    ['a wrong reference', () => ['digest', 'host:5000/App'], 64, /invalid reference/],
    ['a misspelt option', () => ['ls', 'x/y', '--lnog'], 64, /unknown option '--lnog' \(Did you mean --long\?\)/],
    ['a format that there is not', () => ['ls', 'x/y', '--format', 'yaml'], 64, /no format of this verb/],
    ['a template that is not supported', () => ['ls', 'x/y', '-f', '{{if .}}'], 64, /is not supported/],
    ['a pattern that is none', () => ['ls', 'x/y', '--include', '('], 64, /--include/],
    ['a header that is none', () => ['ls', 'x/y', '-H', 'nothing'], 64, /is no header/],
    ['a platform that is none', () => ['digest', 'x/y', '-p', 'linux'], 64, /is no platform/],
    ['a number that is none', () => ['ls', 'x/y', '-n', '0'], 64, /a number from 1 on/],
    ['a time that is none', () => ['ls', 'x/y', '--timeout', 'soon'], 64, /30s/],
    ['a file that is not there', () => ['ls', repository('app'), '--ca-file', '/nonexistent'], 64, /certificate file/],
    ['no terminal to ask on', () => ['login', '127.0.0.1:1'], 64, /a name and a password\nHint: .* --username NAME /],
    [
      'no terminal to ask for a password',
      () => ['login', '127.0.0.1:1', '-u', 'kim'],
      64,
      /the password of kim\nHint: .* berth login 127\.0\.0\.1:1 --username kim --password-stdin\n/,
    ],
    ['a registry that is not there', () => ['ls', '127.0.0.1:1/app'], 5, /nobody listens there/],
    ['an answer that makes no sense', () => ['ls', repository('garbage')], 1, /no JSON/],
    ['a rule of the registry', () => ['ls', repository('limited')], 4, /the quota is used up/],
    ['an answer that does not come', () => ['ls', repository('slow'), '--timeout', '50ms'], 5, /in time/],
  ])('%s', async (_, args, code, message) => {
    const shown = await shell.run(...args())
    expect([shown.out, shown.code]).toEqual(['', code])
    expect(shown.error).toMatch(message)
    expect(shown.error).toMatch(/^berth: [^\n]+\n(Hint: [^\n]+\n)?$/)
  })
})

test('what is asked can be seen, without the signatures of addresses', async () => {
  const { error, code } = await shell.run('ls', repository('app'), '-n', '1', '--debug')
  expect(code).toBe(0)
  expect(error).toContain(`GET http://${repository('v2')}/app/tags/list?n=1000 200\n`)
})

test('a name without a registry is of Docker Hub, which is said where that is not what was meant', async () => {
  const hub = (error: string) =>
    [new UpstreamError('network', `cannot reach ${error}`), ['digest', 'team/app']] as const
  expect(withHubHint(...hub('registry-1.docker.io: no such host'))).toMatchObject({
    ...{ message: 'cannot reach registry-1.docker.io: no such host', fault: 'network' },
    hint: 'a name without a registry is of Docker Hub: for another one write HOST:PORT/NAME',
  })
  expect(withHubHint(...hub('registry.example'))).toMatchObject({ hint: undefined })
  const [error] = hub('registry-1.docker.io')
  expect(withHubHint(error, ['digest', 'docker.io/team/app'])).toBe(error)
  expect(await shell.run('digest', 'docker://h:5000/app:v1')).toMatchObject({
    ...{ code: 64, error: expect.stringContaining('\nHint: write h:5000/app:v1\n') },
  })
})

describe('the program', () => {
  const options = { env: {} }

  test('ends quietly when nobody reads on, with all data before on standard output', async () => {
    const { code, stdout, stderr } = await run(
      ['sh', '-c', `"$0" ls "$1" | head -1; "$0" ls "$1" --limit 3`, BERTH, repository('app')],
      options,
    )
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: 'tag-0\ntag-0\ntag-1\ntag-2\n', stderr: '' })
  })

  test('is interrupted with 130, without a word on standard output', async () => {
    const child = Bun.spawn([BERTH, 'ls', repository('slow'), '--debug'], {
      ...{ env: cleanEnvironment(), stdin: 'ignore', stdout: 'pipe', stderr: 'pipe' },
    })
    let error = ''
    let isSent = false
    for await (const text of child.stderr.pipeThrough(new TextDecoderStream())) {
      error += text
      if (error.includes('/v2/') && !isSent) {
        isSent = true
        child.kill('SIGINT')
      }
    }
    expect([await child.exited, await child.stdout.text()]).toEqual([130, ''])
    expect(error).toEndWith('berth: interrupted\n')
  })

  test('has help for each verb, and keeps the exit codes of the server’s verbs', async () => {
    const codes = async (...args: string[]) => (await run([BERTH, ...args], options)).code
    expect(await codes('help', 'ls')).toBe(0)
    expect(await codes('tags')).toBe(64)
    expect(await codes('user', 'nothing')).toBe(2)
    // A noun of the server, and a verb of the client.
    expect(await codes('tag', 'restore')).toBe(2)
    expect(await codes('tag', repository('app'))).toBe(64)
  })
})

test('docs/cli.md names every flag of a verb, in its section or in those for all verbs', async () => {
  const text = readFileSync(join(import.meta.dir, '../../../docs/cli.md'), 'utf8')
  const [common = '', ...sections] = text.split(/^### /m)
  const missing: string[] = []
  for (const [name, { load }] of Object.entries(VERBS)) {
    const section = sections.find((one) => one.startsWith(`${name}\n`) || one.startsWith(`${name} `)) ?? ''
    for (const { path, command } of commandsOf((await load())(contextOfProcess(new AbortController().signal)))) {
      for (const { long, short, hidden } of command.options) {
        const flags = [long, short].filter((flag) => flag !== undefined)
        const named = new RegExp(`(?<![\\w-])(?:${flags.join('|')})(?![\\w-])`)
        if (!hidden && ![section, common].some((part) => named.test(part))) missing.push(`${path} ${long}`)
      }
    }
  }
  expect(missing).toEqual([])
})

function commandsOf(command: Command, path = command.name()): { path: string; command: Command }[] {
  return [{ path, command }, ...command.commands.flatMap((child) => commandsOf(child, `${path} ${child.name()}`))]
}

test('docs/cli.md has a section, an example and the aliases of every verb, and of no other', () => {
  const text = readFileSync(join(import.meta.dir, '../../../docs/cli.md'), 'utf8')
  const sections = [...text.matchAll(/^### ([a-z-]+)(.*)\n([\s\S]*?)(?=^##|(?![\s\S]))/gm)]
  expect(sections.map(([, name]) => name)).toEqual(Object.keys(VERBS))
  for (const [, name = '', aliases, body] of sections) {
    expect(body).toMatch(new RegExp(`^ {4}\\$ (.*\\| )?berth ${name} `, 'm'))
    const expected = Object.keys(VERB_ALIASES).filter((alias) => VERB_ALIASES[alias] === name)
    expect([...(aliases ?? '').matchAll(/`([a-z-]+)`/g)].map(([, alias]) => alias)).toEqual(expected)
  }
})

test('the list of commands has one line for each at 80 columns', async () => {
  const { stdout } = await run([BERTH, '--help'], { env: {} })
  const lines = stdout.split('\n')
  expect(lines.filter((line) => line.length > 80 || /^ {4}/.test(line))).toEqual([])
  for (const name of Object.keys(VERBS)) expect(stdout).toMatch(new RegExp(`^  ${name}  +\\w`, 'm'))
})

test('every verb has a help that names each of its options', async () => {
  for (const name of Object.keys(VERBS)) {
    const { out, code } = await shell.run(name, '--help')
    for (const example of VERBS[name]?.examples ?? []) {
      const [verb, ...words] = example.split(' ')
      expect(verb).toBe(name)
      expect(`  $ berth ${example}`.length).toBeLessThanOrEqual(80)
      expect(out).toContain(`  $ berth ${example}\n`)
      for (const flag of words.filter((word) => word.startsWith('-')))
        expect(out).toMatch(new RegExp(`^  .*${flag}\\b`, 'm'))
    }
    expect([code, out]).toEqual([0, expect.stringContaining(`Usage: berth ${name}`)])
    expect(out).toContain('--plain-http')
  }
})
