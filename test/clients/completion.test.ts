import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { contextOfProcess } from '../../src/cli/client/context.ts'
import { VERB_ALIASES, VERBS } from '../../src/cli/client/verbs.ts'
import { berthCommand } from '../../src/cli/commands.ts'
import { complete } from '../../src/cli/complete.ts'
import { SCRIPTS, type Shell } from '../../src/cli/completion-scripts.ts'
import { makeImage, pushImage } from '../image.ts'
import { describeWith, program, run } from '../programs.ts'
import { BERTH } from '../start-berth.ts'
import { startRegistry, type TestRegistry } from '../start-registry.ts'

let home: string
let registry: TestRegistry
let host: string
beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), 'berth-complete-'))
  registry = await startRegistry()
  host = new URL(registry.url).host
  for (const repository of ['team/app', 'team/api', 'tools/x']) {
    for (const tag of ['v1', 'v2', 'other']) {
      await pushImage(registry.url, repository, makeImage({ layers: [1], seed: repository }), { tag })
    }
  }
  mkdirSync(join(home, '.docker'))
  writeFileSync(join(home, '.docker/config.json'), JSON.stringify({ auths: { [host]: {} } }))
  writeFileSync(join(home, 'ca file.pem'), '')
  mkdirSync(join(home, 'bin'))
  symlinkSync(BERTH, join(home, 'bin/berth'))
  for (const [shell, script] of Object.entries(SCRIPTS)) writeFileSync(join(home, `berth.${shell}`), script)
})
afterAll(async () => {
  await registry.stop()
  rmSync(home, { recursive: true, force: true })
})

/** Words of a line that ends where the cursor is. */
async function words(line: string): Promise<{ words: string[]; besides: string }> {
  const context = { ...contextOfProcess(new AbortController().signal), env: {}, home }
  const found = await complete(berthCommand(), line.replaceAll('HOST', host).split(' ').slice(1), context)
  return { words: found.words.map(([word]) => word.replaceAll(host, 'HOST')), besides: found.besides }
}

describe('a word is completed', () => {
  test.each<[string, string[], string]>([
    ['berth dig', ['digest'], 'nothing'],
    ['berth list-', ['list-tags'], 'nothing'],
    ['berth __', [], 'nothing'],
    ['berth gc st', ['status'], 'nothing'],
    ['berth tag hi', ['history'], 'nothing'],
    ['berth tag HOST/team/ap', ['HOST/team/api', 'HOST/team/app'], 'more'],
    ['berth digest --plat', ['--platform'], 'nothing'],
    ['berth digest --platform linux/s', ['linux/s390x'], 'nothing'],
    ['berth digest --platform=linux/s', ['--platform=linux/s390x'], 'nothing'],
    ['berth ls --sort pu', ['pushed', 'pulled', 'pulls'], 'nothing'],
    ['berth ls --ca-file ca', [], 'files'],
    ['berth ls -n ', [], 'nothing'],
    ['berth completion ', ['bash', 'zsh', 'fish'], 'nothing'],
    ['berth digest ', ['HOST/'], 'more'],
    ['berth ping ', ['HOST'], 'nothing'],
    ['berth digest HOST/team/ap', ['HOST/team/api', 'HOST/team/app'], 'more'],
    ['berth ls HOST/to', ['HOST/tools/x'], 'nothing'],
    ['berth digest HOST/team/app:v', ['HOST/team/app:v1', 'HOST/team/app:v2'], 'nothing'],
    ['berth diff HOST/team/app:v1 HOST/team/app:o', ['HOST/team/app:other'], 'nothing'],
    ['berth untag HOST/team/app:v1 HOST/team/app:v1 HOST/team/app:o', ['HOST/team/app:other'], 'nothing'],
    ['berth digest 127.0.0.1:1/x', [], 'nothing'],
    ['berth digest HOST/none:', [], 'nothing'],
    ['berth nothing ', [], 'nothing'],
    ['berth blob ge', ['get'], 'nothing'],
    ['berth auth to', ['token'], 'files'],
    ['berth auth token HOST/to', ['HOST/tools/x'], 'nothing'],
  ])('%s', async (line, expected, besides) => {
    expect(await words(line)).toEqual({ words: expected, besides })
  })

  test('by every command that there is, and every flag of each', async () => {
    const first = (await words('berth ')).words
    expect(first).toEqual(
      expect.arrayContaining([...Object.keys(VERBS), ...Object.keys(VERB_ALIASES), 'serve', 'help']),
    )
    for (const command of berthCommand().commands) {
      expect(first).toContain(command.name())
      const children = (await words(`berth ${command.name()} `)).words
      for (const child of command.commands) expect(children).toContain(child.name())
    }
    for (const name of Object.keys(VERBS)) {
      // A noun's verbs, or the verb itself.
      const children = ['blob', 'index', 'auth'].includes(name) ? (await words(`berth ${name} `)).words : ['x']
      expect(children.length).toBeGreaterThan(0)
      for (const child of children.filter((word) => word !== 'help')) {
        expect((await words(`berth ${name} ${child} --`)).words).toEqual(
          expect.arrayContaining(['--help', '--plain-http']),
        )
      }
    }
  })
})

/** What a shell's own completion runs with: a busy machine's registry may take its time. */
const shellEnvironment = () => ({
  HOME: home,
  PATH: `${join(home, 'bin')}:${process.env.PATH}`,
  BERTH_COMPLETION_SECONDS: '60',
})

test('a registry that says nothing ends in nothing, as soon as its time is over', async () => {
  const silent = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: () => new Promise<Response>(() => {}) })
  const { stdout, code } = await run([BERTH, '__complete', '--', 'digest', `127.0.0.1:${silent.port}/a`], {
    env: { ...shellEnvironment(), BERTH_COMPLETION_SECONDS: '0.1' },
    timeoutMs: 60_000,
  })
  await silent.stop(true)
  expect({ stdout, code }).toEqual({ stdout: ':nothing\n', code: 0 })
})

/** Types into a real shell on a terminal; answers all that was seen there. */
async function type(command: string, lines: readonly string[]): Promise<string> {
  const { stdout } = await run(['script', '-qec', command, '/dev/null'], {
    env: { ...shellEnvironment(), TERM: 'dumb', HISTFILE: '' },
    cwd: home,
    stdin: lines.map((line) => `${line}\n`).join(''),
  })
  return stdout
}

const SHELLS: Record<Shell, { command: () => string; before: string[] }> = {
  bash: { command: () => `${program('bash')} --norc --noprofile -i`, before: ['source berth.bash'] },
  zsh: {
    command: () => `${program('zsh')} -f -i`,
    before: ['autoload -Uz compinit && compinit -u -D', 'source ./berth.zsh'],
  },
  fish: { command: () => `${program('fish')} --no-config -i`, before: ['source berth.fish'] },
}

describeWith(['zsh', 'fish'], 'a real shell', () => {
  test.each(['bash', 'zsh'] as const)('%s completes a command, and a tag behind colons', async (shell) => {
    const { command, before } = SHELLS[shell]
    const digest = makeImage({ layers: [1], seed: 'team/app' }).manifest.digest
    const seen = await type(command(), [
      ...before,
      `berth dige\t${host}/team/app:o\t`,
      `berth ls ${host}/team/app --ca-file ca\t --sort nam\t`,
      'exit',
    ])
    expect(seen).toContain(digest)
    expect(seen.replaceAll('\u0007', '')).toContain('--ca-file ca\\ file.pem')
    // Which says that `nam` became `name`, and that the file was found.
    expect(seen).toContain('\nother\r\nv1\r\nv2\r\n')
  })

  test('bash has the words, and only what is behind the last colon', async () => {
    const ask = (line: string) =>
      `COMP_LINE='${line}' COMP_POINT=${line.length}; _berth; printf '<%s>' "\${COMPREPLY[@]}"; echo`
    const { stdout } = await run(
      [
        program('bash'),
        '-c',
        [
          `source ${home}/berth.bash`,
          ask('berth gc ru'),
          ask(`berth ls ${host}/te`),
          ask(`berth digest ${host}/team/app:v`),
        ].join('\n'),
      ],
      { env: shellEnvironment() },
    )
    expect(stdout).toBe(`<run>\n<${host.replace(/.*:/, '')}/team/api><${host.replace(/.*:/, '')}/team/app>\n<v1><v2>\n`)
  })

  test('fish has the words and what they mean', async () => {
    const ask = (line: string) => `complete -C '${line}'`
    const { stdout } = await run(
      [
        program('fish'),
        '--no-config',
        '-c',
        [
          'source berth.fish',
          ask('berth gc ru'),
          ask(`berth digest ${host}/team/app:v`),
          ask('berth ls --ca-file ca'),
        ].join('\n'),
      ],
      { cwd: home, env: shellEnvironment() },
    )
    const meaning = berthCommand()
      .commands.find((one) => one.name() === 'gc')
      ?.commands.find((one) => one.name() === 'run')
      ?.description()
    expect(stdout).toBe(`run\t${meaning}\n${host}/team/app:v1\n${host}/team/app:v2\nca file.pem\n`)
  })
})
