import { afterAll, describe, expect, test } from 'bun:test'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { authenticatorSuite } from './authenticator.suite.ts'
import { UnavailableError } from './authenticator.ts'
import { createExternalAuthenticator } from './external.ts'

const folder = await mkdtemp(join(tmpdir(), 'berth-external-'))
afterAll(() => rm(folder, { recursive: true }))
let folders = 0

/** A program in the manner of docker_auth's example: a file `NAME` with the password, `NAME.json` with the labels. */
const PROGRAM = `#!/bin/sh
read user password
[ -n "$user" ] && [ -f "$1/$user" ] || exit 2
[ "$(cat "$1/$user")" = "$password" ] || exit 1
[ ! -f "$1/$user.json" ] || cat "$1/$user.json"
`

authenticatorSuite('ext_auth', async () => {
  const users = join(folder, `users-${folders++}`)
  const program = `${users}.sh`
  await Bun.write(join(users, '.keep'), '')
  await writeFile(program, PROGRAM)
  await chmod(program, 0o755)
  return {
    authenticator: createExternalAuthenticator({ command: program, args: [users], timeoutMs: 30_000, maxChildren: 4 }),
    put: (name, password) => writeFile(join(users, name), password),
    remove: (name) => rm(join(users, name)),
    label: (name, labels) => writeFile(join(users, `${name}.json`), JSON.stringify({ labels })),
    breakDown: () => rm(program),
  }
})

/** A source whose program notes what it reads, and then does as the script says. */
async function source(script: string, now?: () => number) {
  const runs = join(folder, `runs-${folders}`)
  const asked = join(folder, `asked-${folders++}`)
  const warnings: unknown[] = []
  const authenticator = createExternalAuthenticator({
    command: 'sh',
    args: ['-c', `cat > ${asked}\necho >> ${runs}\n${script}`],
    timeoutMs: 30_000,
    maxChildren: 2,
    warn: (...args) => warnings.push(args),
    ...(now === undefined ? {} : { now }),
  })
  const question = async () => ((await Bun.file(asked).exists()) ? await Bun.file(asked).text() : undefined)
  /** How often the program was started. */
  const starts = async () => ((await Bun.file(runs).exists()) ? (await Bun.file(runs).text()).length : 0)
  return { authenticator, question, starts, warnings }
}

async function outcome(answer: Promise<unknown>): Promise<unknown> {
  return await answer.catch((error: unknown) =>
    error instanceof UnavailableError ? `unavailable: ${error.message}` : error,
  )
}

const BAD_OUTPUT = 'unavailable: bad output from command: expected nothing or {"labels": {"NAME": ["VALUE"]}}'

describe('ext_auth', () => {
  test.each([
    ['0 is yes', 'exit 0', { kind: 'yes', labels: {} }],
    ['1 is a wrong password', 'exit 1', 'wrong-password'],
    ['2 is somebody else’s', 'exit 2', 'no-match'],
    ['3 is no answer', 'exit 3', 'unavailable: bad return code from command: 3'],
    ['a signal is no answer', 'kill -9 $$', 'unavailable: bad return code from command: -1'],
    ['labels come with yes', `echo '{"labels":{"groups":["VIP"]}}'`, { kind: 'yes', labels: { groups: ['VIP'] } }],
    ['labels do not come with no', `echo '{"labels":{"groups":["VIP"]}}'; exit 1`, 'wrong-password'],
    ['their name may be in any case', `echo '{"Labels":{"a":["b"]}}'`, { kind: 'yes', labels: { a: ['b'] } }],
    ['other members do not count', `echo '{"message":"hi"}'`, { kind: 'yes', labels: {} }],
    ['null is no labels', `echo '{"labels":null}'`, { kind: 'yes', labels: {} }],
    ['blank output is no labels', `printf ' \\n'`, { kind: 'yes', labels: {} }],
    ['other text is no answer', 'echo not json', BAD_OUTPUT],
    ['a list is no answer', 'echo []', BAD_OUTPUT],
    ['null alone is no answer', 'echo null', BAD_OUTPUT],
    ['labels that are a list are no answer', `echo '{"labels":["a"]}'`, BAD_OUTPUT],
    ['a value that is no list is no answer', `echo '{"labels":{"a":"b"}}'`, BAD_OUTPUT],
    ['nor is one that is no text', `echo '{"labels":{"a":["b",1]}}'`, BAD_OUTPUT],
  ])('%s', async (_, script, expected) => {
    const { authenticator } = await source(script)
    expect(await outcome(authenticator.authenticate('u', 'p'))).toEqual(expected)
  })

  test('a label may have any name, and is one of the record’s own', async () => {
    const { authenticator } = await source(`echo '{"labels":{"__proto__":["x"]}}'`)
    const yes = await authenticator.authenticate('u', 'p')
    expect(typeof yes === 'object' ? Object.entries(yes.labels) : yes).toEqual([['__proto__', ['x']]])
  })

  test.each([
    ['account and password with a space between, and no line end', 'user', 'pass', 'user pass'],
    ['spaces of the password', 'user', ' a  b ', 'user  a  b '],
    ['other letters', 'ü', 'пароль$(x)"', 'ü пароль$(x)"'],
    ['an empty password', 'user', '', 'user '],
    ['one space for a client without credentials', '', '', ' '],
  ])('the program reads %s', async (_, account, password, expected) => {
    const { authenticator, question } = await source('exit 0')
    expect(await authenticator.authenticate(account, password)).toEqual({ kind: 'yes', labels: {} })
    expect(await question()).toBe(expected)
  })

  test.each([
    ['an account with a space', 'admin x', 'p', 'no-match'],
    ['an account with a line break', 'admin\nx', 'p', 'no-match'],
    ['an account with another kind of space', 'admin\u00a0x', 'p', 'no-match'],
    ['an account with a NUL', 'admin\0', 'p', 'no-match'],
    ['a password without an account, which could be read as an account', '', 'admin secret', 'no-match'],
    ['a password of two lines', 'admin', 'secret\nmore', 'wrong-password'],
    ['a password with a NUL', 'admin', 'secret\0', 'wrong-password'],
  ] as const)('the program is not asked about %s', async (_, account, password, expected) => {
    const { authenticator, question } = await source('exit 0')
    expect(await authenticator.authenticate(account, password)).toBe(expected)
    expect(await question()).toBeUndefined()
  })

  test('no password is in what is told of the program', async () => {
    const { authenticator, warnings } = await source('echo "refused: hunter2" >&2; exit 3')
    const text = await outcome(authenticator.authenticate('user', 'hunter2'))
    expect(text).toBe('unavailable: bad return code from command: 3')
    expect(warnings).toHaveLength(1)
    expect(JSON.stringify(warnings)).not.toContain('hunter2')
  })

  test('there is no account without a password: a program cannot be asked for one', async () => {
    const { authenticator } = await source('exit 0')
    expect(authenticator.find).toBeUndefined()
  })

  test('a source that was closed answers nobody', async () => {
    const { authenticator } = await source('exit 0')
    await authenticator.close?.()
    expect(await outcome(authenticator.authenticate('u', 'p'))).toBe('unavailable: the command is not asked any more')
  })
})

describe('the program is started once', () => {
  const crowd = (answer: () => Promise<unknown>) => Promise.all(Array.from({ length: 300 }, () => outcome(answer())))

  test('for all clients without credentials, and again after a second', async () => {
    let now = 0
    const { authenticator, starts } = await source('sleep 0.1; exit 2', () => now)
    expect(new Set(await crowd(() => authenticator.authenticate('', '')))).toEqual(new Set(['no-match']))
    now = 999
    expect(await authenticator.authenticate('', '')).toBe('no-match')
    expect(await starts()).toBe(1)
    now = 1_000
    expect(await authenticator.authenticate('', '')).toBe('no-match')
    expect(await starts()).toBe(2)
  })

  test('also where it cannot tell, and a second later it may', async () => {
    let now = 0
    const broken = join(folder, 'broken')
    await Bun.write(broken, '')
    const { authenticator, starts } = await source(`[ ! -e ${broken} ] || exit 9`, () => now)
    const failed = 'unavailable: bad return code from command: 9'
    expect(new Set(await crowd(() => authenticator.authenticate('', '')))).toEqual(new Set([failed]))
    expect(await starts()).toBe(1)
    await rm(broken)
    expect(await outcome(authenticator.authenticate('', ''))).toBe(failed)
    now = 1_000
    expect(await authenticator.authenticate('', '')).toEqual({ kind: 'yes', labels: {} })
  })

  test('while the very same account and password wait, and not longer', async () => {
    const { authenticator, starts } = await source('sleep 0.1; exit 1')
    expect(new Set(await crowd(() => authenticator.authenticate('u', 'p')))).toEqual(new Set(['wrong-password']))
    expect(await starts()).toBe(1)
    await authenticator.authenticate('u', 'p')
    expect(await starts()).toBe(2)
    const different = ['u p', 'u p ', 'v p', 'U p'].map((text) => [text.slice(0, 1), text.slice(2)] as const)
    await Promise.all(different.map(([account, password]) => authenticator.authenticate(account, password)))
    expect(await starts()).toBe(6)
  })

  test('and no client waits behind those without credentials', async () => {
    const { authenticator } = await source('exit 0')
    const anonymous = crowd(() => authenticator.authenticate('', ''))
    expect(await outcome(authenticator.authenticate('u', 'p'))).toEqual({ kind: 'yes', labels: {} })
    expect(new Set((await anonymous).map((answer) => JSON.stringify(answer)))).toEqual(
      new Set(['{"kind":"yes","labels":{}}']),
    )
  })

  test('and what was answered before it was closed is forgotten', async () => {
    const { authenticator } = await source('exit 0', () => 0)
    expect(await authenticator.authenticate('', '')).toEqual({ kind: 'yes', labels: {} })
    await authenticator.close?.()
    expect(await outcome(authenticator.authenticate('', ''))).toBe('unavailable: the command is not asked any more')
  })
})
